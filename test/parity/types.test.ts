import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { generateTypes } from '../../core/scripts/generate-types.ts';

test.each([
  ['core', 'core/src/resources/types.gen.ts'],
  ['plugins/caps', 'plugins/caps/src/types.gen.ts'],
])('the types of %s are what its CRDs give: after a change of its manifests run npm run types', (folder, file) => {
  expect(readFileSync(file, 'utf8')).toBe(generateTypes(folder));
});
