import { type BuiltImage, buildImage } from "#agent/runtime/oci";

/** The name of the sandboxes' image. It is never pulled. */
export const sandboxImageName = "skiff.dev/sandbox:1";

const loadAddress = 0x400000;
const headersSize = 64 + 56;

/**
 * The program of a pod's sandbox: it ignores SIGCHLD, so that the kernel reaps its children (with a shared process
 * namespace it is the init of all containers), then waits forever. It consists of instructions and one `struct
 * sigaction`.
 */
export function sandboxProgram(architecture: "amd64" | "arm64"): Buffer {
  const code = architecture === "amd64" ? amd64() : arm64();
  // struct sigaction: the handler is SIG_IGN (1), flags, restorer and mask are zero.
  const action = Buffer.alloc(32);
  action[0] = 1;
  return elf(architecture === "amd64" ? 62 : 183, Buffer.concat([code, action]));
}

function amd64(): Buffer {
  const code = Buffer.from([
    ...[0xb8, 13, 0, 0, 0], // mov eax, rt_sigaction
    ...[0xbf, 17, 0, 0, 0], // mov edi, SIGCHLD
    ...[0x48, 0x8d, 0x35, 0, 0, 0, 0], // lea rsi, [rip + action]
    ...[0x31, 0xd2], // xor edx, edx
    ...[0x41, 0xba, 8, 0, 0, 0], // mov r10d, sizeof mask
    ...[0x0f, 0x05], // syscall
    ...[0xb8, 34, 0, 0, 0], // wait: mov eax, pause
    ...[0x0f, 0x05], // syscall
    ...[0xeb, 0xf7], // jmp wait
  ]);
  code.writeInt32LE(code.length - 17, 13);
  return code;
}

function arm64(): Buffer {
  const move = (register: number, value: number): number => 0xd2800000 + value * 32 + register;
  const call = 0xd4000001;
  // No `pause` on this architecture: ppoll without descriptors and without a limit is the same.
  const words = [
    ...[move(8, 134), move(0, 17), 0, move(2, 0), move(3, 8), call],
    ...[move(8, 73), move(0, 0), move(1, 0), move(2, 0), move(3, 0), move(4, 0), call],
  ];
  // Back to the first word of the second row.
  words.push(0x14000000 + ((6 - words.length) & 0x3ffffff));
  // adr x1, action
  words[2] = 0x10000000 + ((words.length - 2) << 5) + 1;
  const code = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) code.writeUInt32LE(word, index * 4);
  return code;
}

/** A static executable of one segment that is loaded as it is in the file. */
function elf(machine: number, body: Buffer): Buffer {
  const header = Buffer.alloc(headersSize);
  const size = headersSize + body.length;
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeUInt16LE(2, 16); // executable
  header.writeUInt16LE(machine, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(loadAddress + headersSize), 24); // entry point
  header.writeBigUInt64LE(64n, 32); // program headers follow
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64); // PT_LOAD
  header.writeUInt32LE(5, 68); // readable, executable
  header.writeBigUInt64LE(BigInt(loadAddress), 80);
  header.writeBigUInt64LE(BigInt(loadAddress), 88);
  header.writeBigUInt64LE(BigInt(size), 96);
  header.writeBigUInt64LE(BigInt(size), 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([header, body]);
}

/** The sandbox's image for this machine: one file. */
export function sandboxImage(architecture: "amd64" | "arm64"): BuiltImage {
  return buildImage({
    architecture,
    layers: [[{ path: "pause", bytes: sandboxProgram(architecture), mode: 0o755 }]],
    entrypoint: ["/pause"],
    user: "65535:65535",
  });
}
