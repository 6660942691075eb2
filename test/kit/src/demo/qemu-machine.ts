import { type MachineState, type ObservableMachine, type Progress, StateLog } from '../machine/state.ts';
import { type MachineOptions, type Network, SwitchedMachine } from '../qemu/index.ts';
import { ConsoleFollower } from './console.ts';

/** A QEMU machine, observed through its serial console. */
export class QemuMachine implements ObservableMachine {
  readonly name: string;
  readonly uuid: string;
  readonly mac: string;
  readonly power: SwitchedMachine;
  readonly #states = new StateLog();
  readonly #sizes: Readonly<Record<string, number>>;
  #console: ConsoleFollower;

  /** @param sizes bytes of the agent's files, by name */
  constructor(network: Network, options: MachineOptions, sizes: Readonly<Record<string, number>>) {
    this.#sizes = sizes;
    this.#console = new ConsoleFollower(sizes);
    this.name = options.name;
    this.uuid = options.uuid;
    this.mac = options.mac;
    const onText = (text: string) => {
      options.onText?.(text);
      this.#follow(text);
    };
    this.power = new SwitchedMachine(network, { ...options, onText }, (isOn) => this.#switched(isOn));
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

  /** What was done to it from outside went wrong. */
  fail(detail: string): void {
    this.#states.enter('failed', { detail });
  }

  #switched(isOn: boolean): void {
    this.#console = new ConsoleFollower(this.#sizes);
    if (isOn) this.#states.enter('firmware');
    else this.#states.enter('off', { detail: 'it was switched off' });
  }

  #follow(text: string): void {
    if (!this.power.isOn()) return;
    const isNews = this.#console.push(text);
    const { stage, detail, progress } = this.#console;
    if (isNews) this.#states.enter(stage, detail === undefined ? {} : { detail });
    this.#states.progress = progress;
  }
}
