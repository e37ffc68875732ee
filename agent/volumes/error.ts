/** Why a volume could not be had, in the words that events show. */
export class VolumeError extends Error {}
