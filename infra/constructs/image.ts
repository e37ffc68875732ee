import { join } from "node:path";
import { aws_ecr_assets as assets, type Stack } from "aws-cdk-lib";
import { type Permission, pullImages } from "../permissions.ts";

export interface Image {
  uri: string;
  /** The permissions with which ECS pulls it. */
  pull: Permission[];
}

export interface ImageOptions {
  /** The name of an existing image. Default: an image is built from `folder` at the deployment. */
  given?: string | undefined;
  /** Code and Dockerfile, as `bundle` writes them. */
  folder: string;
  architecture: "arm64" | "x86_64";
}

const platforms = { arm64: assets.Platform.LINUX_ARM64, x86_64: assets.Platform.LINUX_AMD64 };

/** A container image. Synthesis only hashes the folder; the deployment builds it with Docker and stores it in ECR. */
export function image(stack: Stack, id: string, { given, folder, architecture }: ImageOptions): Image {
  if (given !== undefined) {
    return {
      uri: given,
      pull: pullImages(stack.formatArn({ service: "ecr", resource: "repository", resourceName: "*" })),
    };
  }
  const built = new assets.DockerImageAsset(stack, id, { directory: join(folder), platform: platforms[architecture] });
  return { uri: built.imageUri, pull: pullImages(built.repository.repositoryArn) };
}
