/** What a config imports. */
export { example } from './example.ts';
