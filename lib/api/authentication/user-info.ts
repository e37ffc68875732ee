import type * as z from "zod";
import { list, map, message, optional, string, type User } from "../meta/index.ts";

export const UserInfo = message("io.k8s.api.authentication.v1.UserInfo", () => ({
  username: optional(1, string, "The name that identifies the user."),
  uid: optional(2, string, "Distinguishes users that had the same name at different times."),
  groups: optional(3, list(string), "The groups that the user is in.", { list: "atomic" }),
  extra: optional(4, map(list(string)), "Additional information from the authenticator."),
}));
export type UserInfo = z.infer<typeof UserInfo>;

/** A user as the API shows it. */
export function userInfo({ name, uid, groups, extra }: User): UserInfo {
  const shown = Object.entries(extra ?? {}).map(([key, values]): [string, string[]] => [key, [...values]]);
  return {
    username: name,
    ...(uid === undefined || uid === "" ? {} : { uid }),
    ...(groups.length === 0 ? {} : { groups: [...groups] }),
    ...(shown.length === 0 ? {} : { extra: Object.fromEntries(shown) }),
  };
}
