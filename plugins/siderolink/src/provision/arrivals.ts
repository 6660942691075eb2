import { type ServerBinding, ServerBindingKind, type Sidero } from '@sidero/core';
import { PENDING_ANNOTATION } from '../peers/peer-keeper.ts';

/** Tells a replica without the tunnel when the leader has let a machine in. */
export class Arrivals {
  readonly #resources: Sidero['resources'];
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(resources: Sidero['resources']) {
    this.#resources = resources;
  }

  /** Follows the ServerBindings until `signal` aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    await this.#resources.watch(ServerBindingKind, ({ object }) => this.#wake(object), signal);
  }

  /** True once the leader has let the machine in; false after `timeoutMs`. */
  async of(uuid: string, publicKey: string, timeoutMs: number): Promise<boolean> {
    const { promise: arrived, resolve } = Promise.withResolvers<boolean>();
    const wake = () => resolve(true);
    const waiting = this.#waiting.get(uuid) ?? new Set();
    this.#waiting.set(uuid, waiting.add(wake));
    const patience = setTimeout(() => resolve(false), timeoutMs);
    try {
      const binding = await this.#resources.get(ServerBindingKind, { name: uuid });
      if (binding && binding.spec?.siderolink?.publicKey === publicKey && !isPending(binding)) return true;
      return await arrived;
    } finally {
      clearTimeout(patience);
      waiting.delete(wake);
      if (waiting.size === 0) this.#waiting.delete(uuid);
    }
  }

  #wake(binding: ServerBinding): void {
    if (isPending(binding)) return;
    for (const wake of this.#waiting.get(binding.metadata.name) ?? []) wake();
  }
}

function isPending({ metadata }: ServerBinding): boolean {
  return metadata.annotations?.[PENDING_ANNOTATION] !== undefined;
}
