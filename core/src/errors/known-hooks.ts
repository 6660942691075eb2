import type { LifecycleHooks } from '../hooks.ts';
import { isMeant } from './nearest.ts';

/** The hooks as plugins see them: a name that is none is told so, where JavaScript would only say that undefined cannot be tapped. */
export function knownHooks(hooks: LifecycleHooks): LifecycleHooks {
  return new Proxy(hooks, {
    get(target, name, receiver) {
      // Whoever awaits or prints the object asks for more than hooks.
      if (typeof name === 'string' && !(name in target) && name !== 'then' && name !== 'toJSON')
        throw new TypeError(`there is no hook "${name}"; ${isMeant(name, Object.keys(target)) || `there are ${Object.keys(target).join(', ')}`}`);
      return Reflect.get(target, name, receiver) as unknown;
    },
  });
}
