import { messageOf } from '@sidero/core';
import { type MachineState, type ObservableMachine, type Progress, StateLog } from '../machine/state.ts';
import { type Machine, type MachineOptions, type Network, startMachine } from '../qemu/index.ts';
import { ConsoleFollower } from './console.ts';

/** A QEMU machine, observed through its serial console. */
export class QemuMachine implements ObservableMachine {
  readonly name: string;
  readonly uuid: string;
  readonly mac: string;
  readonly #network: Network;
  readonly #options: MachineOptions;
  readonly #states = new StateLog();
  #machine: Machine | undefined;

  readonly #console: ConsoleFollower;

  /** @param sizes bytes of the agent's files, by name */
  constructor(network: Network, options: MachineOptions, sizes: Readonly<Record<string, number>>) {
    this.#console = new ConsoleFollower(sizes);
    this.#network = network;
    this.#options = options;
    this.name = options.name;
    this.uuid = options.uuid;
    this.mac = options.mac;
  }

  get state(): MachineState {
    return this.#states.state;
  }

  get history(): readonly MachineState[] {
    return this.#states.history;
  }

  get progress(): Progress | undefined {
    return this.#states.progress;
  }

  onState(listener: (state: MachineState) => void): () => void {
    return this.#states.listen(listener);
  }

  start(signal: AbortSignal): void {
    const onText = (text: string) => {
      this.#options.onText?.(text);
      if (this.#console.push(text)) this.#states.enter(this.#console.stage);
      this.#states.progress = this.#console.progress;
    };
    this.#states.enter('firmware');
    startMachine(this.#network, { ...this.#options, onText })
      .then((machine) => {
        this.#machine = machine;
        if (signal.aborted) return machine.stop();
      })
      .catch((thrown: unknown) => this.#states.enter('failed', { detail: messageOf(thrown) }));
  }

  async stop(): Promise<void> {
    await this.#machine?.stop(0);
  }
}
