import { RuntimeError } from "#agent/runtime";

/** The IPv4 addresses of a range, each for one pod at a time. The first address of the range is the bridge's. */
export class AddressPool {
  readonly #cidr: string;
  /** The range's own address as a number. */
  readonly #first: number;
  readonly #size: number;
  readonly #offsets = new Map<string, number>();
  readonly #freed: number[] = [];
  #next = 1;

  constructor(cidr: string) {
    const [base = "", bits = "16"] = cidr.split("/");
    this.#cidr = cidr;
    this.#first = base.split(".").reduce((total, part) => total * 256 + Number(part), 0);
    this.#size = 2 ** (32 - Number(bits)) - 2;
  }

  /** A free address. Throws RuntimeError `network` when there is none. */
  take(): string {
    const offset = this.#next < this.#size ? ++this.#next : this.#freed.shift();
    if (offset === undefined) throw new RuntimeError("network", `no addresses left in ${this.#cidr}`);
    const address = addressText(this.#first + offset);
    this.#offsets.set(address, offset);
    return address;
  }

  free(address: string): void {
    const offset = this.#offsets.get(address);
    if (offset === undefined) return;
    this.#offsets.delete(address);
    this.#freed.push(offset);
  }
}

const addressText = (value: number): string =>
  [value / 2 ** 24, value / 2 ** 16, value / 2 ** 8, value].map((part) => Math.floor(part) % 256).join(".");
