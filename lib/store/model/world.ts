import type { Clock, Random } from "#base";
import { Dice, turn } from "#test/make";

/** What the world does to its processes; probabilities per step. */
export interface Troubles {
  crash: number;
  freeze: number;
  jump: number;
  /** How far time jumps, in milliseconds; one of them is picked. */
  jumps: number[];
}

export const noTroubles: Troubles = { crash: 0, freeze: 0, jump: 0, jumps: [] };

/** One process. It stops for good when it crashes and for a while when it freezes, without notice. */
export interface Process {
  name: string;
  isAlive: boolean;
  frozenUntil: number;
  clock: Clock;
  random: Random;
}

interface Task {
  /** The process that waits for it; without one it runs in any case. */
  owner: Process | undefined;
  /** Not before this time. */
  at: number;
  /** Picked less often than others. */
  isSlow: boolean;
  run: () => void;
}

/**
 * Time, chance and the order of events for a handful of processes in one thread: whatever a process waits for is a
 * task here, and one task runs at a time. The same seed makes the same history.
 */
export class World {
  readonly dice: Dice;
  now = 1_700_000_000_000;
  step = 0;
  readonly processes: Process[] = [];
  readonly #troubles: Troubles;
  readonly #restart = new Map<Process, () => void>();
  #tasks: Task[] = [];
  #running = 0;
  /** Called when time jumps: operations that cannot last so long must end before. */
  beforeJump: (milliseconds: number) => void = () => {};
  readonly events: string[] = [];

  constructor(seed: number, troubles: Troubles) {
    this.dice = new Dice(seed);
    this.#troubles = troubles;
  }

  note(event: string): void {
    this.events.push(`${this.step} ${this.now % 1_000_000_000} ${event}`);
  }

  /** Starts a process; `restart` starts another in its place should it crash. */
  spawn(name: string, run: (process: Process) => Promise<void>, restart?: () => void): void {
    const process: Process = {
      name,
      isAlive: true,
      frozenUntil: 0,
      clock: {
        now: () => this.now,
        timer: (milliseconds, wake) => {
          const task = this.post(process, wake, { delay: milliseconds });
          return { cancel: () => this.#drop(task) };
        },
      },
      random: {
        bytes: (length) => Uint8Array.from({ length }, () => this.dice.below(256)),
        fraction: () => this.dice.fraction(),
      },
    };
    this.processes.push(process);
    if (restart) this.#restart.set(process, restart);
    this.#running++;
    const end = () => {
      if (process.isAlive) this.#running--;
      process.isAlive = false;
    };
    run(process).then(end, (error) => {
      this.note(`${name} ended: ${error}`);
      end();
    });
  }

  post(owner: Process | undefined, run: () => void, options: { delay?: number; isSlow?: boolean } = {}): Task {
    const { delay = 0, isSlow = false } = options;
    const task = { owner, run, at: this.now + Math.ceil(delay), isSlow };
    this.#tasks.push(task);
    return task;
  }

  /** Runs until all processes have ended, or for this many steps. */
  async run(steps: number): Promise<void> {
    for (; this.step < steps; this.step++) {
      await turn();
      if (this.#running === 0) return;
      this.now += this.dice.chance(0.04) ? 100 + this.dice.below(300) : this.dice.below(5);
      this.#makeTrouble();
      const task = this.#choose();
      if (!task) return;
      this.#drop(task);
      task.run();
    }
    await turn();
  }

  /** After a run: lets requests in flight arrive or be lost, without receivers. */
  async drain(): Promise<void> {
    for (const process of this.processes) process.isAlive = false;
    for (let rounds = 0; this.#tasks.length > 0 && rounds < 10_000; rounds++) {
      const task = this.dice.pick(this.#tasks);
      this.#drop(task);
      if (!task.owner) task.run();
    }
    await turn();
  }

  #choose(): Task | undefined {
    this.#tasks = this.#tasks.filter((task) => !task.owner || task.owner.isAlive);
    const runnable = this.#tasks.filter((task) => task.at <= this.now && !this.#isFrozen(task.owner));
    const quick = runnable.filter((task) => !task.isSlow || this.dice.chance(0.04));
    if (quick.length > 0) return this.dice.pick(quick);
    if (runnable.length > 0) return this.dice.pick(runnable);
    for (const process of this.processes) process.frozenUntil = 0;
    let next: Task | undefined;
    for (const task of this.#tasks) if (!next || task.at < next.at) next = task;
    if (next) this.now = Math.max(this.now, next.at);
    return next;
  }

  #isFrozen(owner: Process | undefined): boolean {
    return owner !== undefined && owner.frozenUntil > this.step;
  }

  #makeTrouble(): void {
    const { dice } = this;
    const { crash, freeze, jump, jumps } = this.#troubles;
    const alive = () => this.processes.filter((process) => process.isAlive);
    if (dice.chance(freeze)) {
      const victim = dice.pick(alive());
      victim.frozenUntil = this.step + 20 + dice.below(120);
      this.note(`${victim.name} freezes`);
    }
    if (dice.chance(jump)) {
      const far = dice.pick(jumps);
      this.beforeJump(far);
      this.now += far;
      this.note(`time jumps by ${far} ms`);
    }
    if (!dice.chance(crash)) return;
    const victim = dice.pick(alive());
    const restart = this.#restart.get(victim);
    if (!restart) return;
    victim.isAlive = false;
    this.#running--;
    this.note(`${victim.name} crashes`);
    restart();
  }

  #drop(task: Task): void {
    const index = this.#tasks.indexOf(task);
    if (index >= 0) this.#tasks.splice(index, 1);
  }
}
