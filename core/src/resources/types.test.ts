import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { generateTypes } from '../../scripts/generate-types.ts';

test('types.gen.ts is what the CRDs give: after a change of core/manifests/crds run npm run types', () => {
  expect(readFileSync(new URL('./types.gen.ts', import.meta.url), 'utf8')).toBe(generateTypes());
});
