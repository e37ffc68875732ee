import { join } from "node:path";
import { aws_ecr_assets as assets, type Stack } from "aws-cdk-lib";
import { type Permission, pullImages } from "../permissions.ts";

export interface Image {
  uri: string;
  /** What ECS needs to fetch it. */
  pull: Permission[];
}

export interface ImageOptions {
  /** The name of an image that somebody else has made; without it one is built of `folder` at the deployment. */
  given?: string | undefined;
  /** Code and Dockerfile, as `bundle` has put them together. */
  folder: string;
  architecture: "arm64" | "x86_64";
}

const platforms = { arm64: assets.Platform.LINUX_ARM64, x86_64: assets.Platform.LINUX_AMD64 };

/** An image to run. Synthesis only looks at the folder's bytes; the deployment builds it (with Docker) and keeps it in ECR. */
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
