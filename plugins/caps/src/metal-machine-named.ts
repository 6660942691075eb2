import type { Ref } from '@sidero/core';
import { failure } from './errors.ts';

/** The MetalMachine that a person names, as NAMESPACE/NAME. @throws SIDERO_METAL_MACHINE_UNNAMED */
export function metalMachineNamed(text: string): Ref {
  const [namespace, name, ...more] = text.split('/');
  if (!namespace || !name || more.length > 0) throw failure('SIDERO_METAL_MACHINE_UNNAMED', { given: text });
  return { namespace, name };
}
