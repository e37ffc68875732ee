/* Loaded with the first certificate that is issued. */
export { openAuthority, signByAuthority } from "#hosts/aws/authority/issuing";
