/** A volume could not be mounted; the message is that of the event. */
export class VolumeError extends Error {}
