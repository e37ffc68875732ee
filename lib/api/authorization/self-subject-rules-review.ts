import type * as z from "zod";
import { badRequest } from "#base";
import {
  type AccessContext,
  boolean,
  defineKind,
  list,
  message,
  metadataField,
  optional,
  required,
  string,
} from "../meta/index.ts";

const group = "io.k8s.api.authorization.v1";
const atomic = { list: "atomic" } as const;

export const ResourceRule = message(`${group}.ResourceRule`, () => ({
  verbs: required(1, list(string), "Verbs; `*` for all.", atomic),
  apiGroups: optional(2, list(string), "The groups of the resources; `*` for all.", atomic),
  resources: optional(3, list(string), "Resources and `resource/part`; `*` for all.", atomic),
  resourceNames: optional(4, list(string), "Names that the rule is limited to. Defaults to all.", atomic),
}));
export type ResourceRule = z.infer<typeof ResourceRule>;

export const NonResourceRule = message(`${group}.NonResourceRule`, () => ({
  verbs: required(1, list(string), "Verbs; `*` for all.", atomic),
  nonResourceURLs: optional(2, list(string), "Paths; a `*` at the end matches any suffix.", atomic),
}));
export type NonResourceRule = z.infer<typeof NonResourceRule>;

export const SubjectRulesReviewStatus = message(`${group}.SubjectRulesReviewStatus`, () => ({
  resourceRules: required(1, list(ResourceRule), "Rules for resources, in no order.", atomic),
  nonResourceRules: required(2, list(NonResourceRule), "Rules for paths, in no order.", atomic),
  incomplete: required(3, boolean, "Whether the lists may be incomplete."),
  evaluationError: optional(4, string, "An error of the evaluation."),
}));
export type SubjectRulesReviewStatus = z.infer<typeof SubjectRulesReviewStatus>;

export const SelfSubjectRulesReviewSpec = message(`${group}.SelfSubjectRulesReviewSpec`, () => ({
  namespace: optional(1, string, "The namespace to evaluate."),
}));
export type SelfSubjectRulesReviewSpec = z.infer<typeof SelfSubjectRulesReviewSpec>;

export const SelfSubjectRulesReview = message(`${group}.SelfSubjectRulesReview`, () => ({
  metadata: metadataField(),
  spec: required(2, SelfSubjectRulesReviewSpec, "The request to evaluate."),
  status: optional(3, SubjectRulesReviewStatus, "The result, set by the server.", { printed: true }),
}));
export type SelfSubjectRulesReview = z.infer<typeof SelfSubjectRulesReview>;

/** "What may I do in this namespace?" */
export const selfSubjectRulesReviews = defineKind<SelfSubjectRulesReview>({
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectRulesReview",
  plural: "selfsubjectrulesreviews",
  singular: "selfsubjectrulesreview",
  scope: "Cluster",
  schema: SelfSubjectRulesReview,
  verbs: ["create"],
  answer,
});

async function answer({ spec }: SelfSubjectRulesReview, context: AccessContext): Promise<SelfSubjectRulesReview> {
  if (!spec?.namespace) throw badRequest("no namespace on request");
  const { rules, incomplete, error } = await context.rulesFor(context.user, spec.namespace);
  return {
    metadata: {},
    spec: {},
    status: {
      resourceRules: rules
        .filter(({ resources }) => resources?.length)
        .map(({ nonResourceURLs: _paths, ...rule }) => ({ ...rule, verbs: [...rule.verbs] })),
      nonResourceRules: rules
        .filter(({ nonResourceURLs }) => nonResourceURLs?.length)
        .map(({ verbs, nonResourceURLs }) => ({ verbs: [...verbs], nonResourceURLs })),
      incomplete,
      ...(error === "" ? {} : { evaluationError: error }),
    },
  };
}
