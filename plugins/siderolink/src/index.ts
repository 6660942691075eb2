export { siderolink } from './plugin.ts';
