import type { ResourceClient } from '@sidero/core';
import type { ObservableMachine } from '../machine/state.ts';
import { applyRackCluster, type RackCluster, type RackWish } from './rack-cluster.ts';
import { CLEAN, type Standing } from './standing.ts';

/** Applies the cluster once all machines are clean and off, and has each that is installed join it. */
export class RackOnceClean implements AsyncDisposable {
  readonly #resources: ResourceClient;
  readonly #machines: readonly ObservableMachine[];
  readonly #wish: RackWish;
  readonly #clean = new Set<string>();
  readonly #joined = new Set<string>();
  readonly #failed = Promise.withResolvers<never>();
  #rack: Promise<RackCluster> | undefined;

  constructor(resources: ResourceClient, machines: readonly ObservableMachine[], wish: RackWish = {}) {
    this.#resources = resources;
    this.#machines = machines;
    this.#wish = wish;
  }

  /** Rejects when the cluster cannot be made, or a machine cannot join it. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** Takes what the API says of a machine. */
  look(uuid: string, standing: Standing): void {
    if (CLEAN.isReached(standing)) this.#clean.add(uuid);
    if (standing.isInstalled) this.#join(uuid);
    if (this.#rack || !this.#machines.every((machine) => this.#clean.has(machine.uuid))) return;
    this.#rack = applyRackCluster(this.#resources, this.#machines.length, this.#wish);
    this.#rack.catch(this.#failed.reject);
  }

  #join(uuid: string): void {
    const machine = this.#machines.find((one) => one.uuid === uuid);
    if (!machine || this.#joined.has(uuid)) return;
    this.#joined.add(uuid);
    this.#rack?.then((rack) => rack.join(uuid, `talos-${machine.name}`)).catch(this.#failed.reject);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const made = await this.#rack?.catch(() => undefined);
    await made?.[Symbol.asyncDispose]();
  }
}
