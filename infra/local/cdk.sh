#!/bin/sh
# CDK's own command against an emulator: everything that its clients and ours look for stands in these variables. The
# name of S3's address has an address for each bucket below it, as S3 has.
set -eu
: "${AWS_ENDPOINT_URL:=http://localhost:4566}"
: "${AWS_ENDPOINT_URL_S3:=http://s3.localhost.localstack.cloud:4566}"
: "${AWS_ACCESS_KEY_ID:=000000000000}"
: "${AWS_SECRET_ACCESS_KEY:=local}"
export AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
cd "$(dirname "$0")/../.."
exec node_modules/.bin/cdk "$@"
