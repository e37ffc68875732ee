/** `skiff token`: creates, prints and deletes the tokens by which machines join a cluster. */
export {
  type CreateOptions,
  createToken,
  type DeleteOptions,
  deleteTokens,
  listTokens,
  type TokenCommand,
} from "./token.ts";
