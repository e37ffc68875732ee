import type * as z from "zod";
import { int32, message, metadataField, optional, required, string } from "../meta/index.ts";

export const ScaleSpec = message("io.k8s.api.autoscaling.v1.ScaleSpec", () => ({
  replicas: optional(1, int32, "How many are wanted."),
}));
export type ScaleSpec = z.infer<typeof ScaleSpec>;

export const ScaleStatus = message("io.k8s.api.autoscaling.v1.ScaleStatus", () => ({
  replicas: required(1, int32, "How many there are."),
  selector: optional(2, string, "The pods' selector as text."),
}));
export type ScaleStatus = z.infer<typeof ScaleStatus>;

export const Scale = message("io.k8s.api.autoscaling.v1.Scale", () => ({
  metadata: metadataField(),
  spec: optional(2, ScaleSpec, "The wanted number."),
  status: optional(3, ScaleStatus, "The observed number."),
}));
export type Scale = z.infer<typeof Scale>;
