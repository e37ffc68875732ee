import { fromNodeProviderChain } from "@aws-sdk/credential-providers";
import { hostOf, signatureV4 } from "#aws";
import { type Check, type ClientSettings, failed, ok } from "../check.ts";

/** S3's error for an account without a setting. */
const nothingSaid = "NoSuchPublicAccessBlockConfiguration";

/**
 * The issuer's two documents are public, which an account may forbid for all its buckets. Sent without the SDK's
 * client, which would be among the largest modules for one request.
 */
export const publicAccess: Check = {
  name: "S3 block public access",
  asks: ["s3:GetAccountPublicAccessBlock"],
  async run({ deployment, aws, account }) {
    if (!deployment.hasPublicBucket) return [ok("the deployment has no public bucket")];
    const { status, body } = await ask(aws, account);
    if (status !== 200) {
      const code = /<Code>(\w+)<\/Code>/.exec(body)?.[1] ?? `status ${status}`;
      if (code === nothingSaid) return [ok("the account allows public buckets")];
      throw Object.assign(new Error(/<Message>([^<]*)<\/Message>/.exec(body)?.[1] ?? code), { name: code });
    }
    const on = ["BlockPublicPolicy", "RestrictPublicBuckets"].filter((name) =>
      new RegExp(`<${name}>\\s*true\\s*</${name}>`, "i").test(body),
    );
    if (on.length === 0) return [ok("the account allows public buckets")];
    return [
      failed(
        `the account has ${on.join(" and ")} on, and the issuer's bucket has two public documents`,
        'set "publicIssuer": false (pods can take no IAM roles then), or turn it off for the account',
      ),
    ];
  },
};

async function ask({ region, endpoint, credentials, requestHandler }: ClientSettings, account: string) {
  const host = `https://${account}.${hostOf("s3-control", region)}`;
  const url = new URL("/v20180820/configuration/publicAccessBlock", endpoint ?? host);
  const own = credentials ?? fromNodeProviderChain({ clientConfig: { region } });
  const signer = signatureV4({ service: "s3", region, credentials: own });
  const { headers } = await signer.sign({
    method: "GET",
    protocol: url.protocol,
    hostname: url.hostname,
    path: url.pathname,
    headers: { host: url.host, "x-amz-account-id": account },
  });
  const signal = AbortSignal.timeout(requestHandler.requestTimeout);
  const answer = await fetch(url, { headers, signal }).catch((error: Error) => {
    // Only the cause has the reason.
    throw error.cause ?? error;
  });
  return { status: answer.status, body: await answer.text() };
}
