/** `npm run soak`: kill schedules for hours, those of `npm test` and others. `npm run soak -- --help` tells the options. */
import { parseArgs } from 'node:util';
import { type SoakWish, soak } from './soak.ts';

const HELP = `npm run soak [-- OPTIONS]

  --kind embedded|real   embedded (default): the embedded API, simulated machines, many schedules at once
                         real: kube-apiserver, Cluster API, clusterctl move, processes that are killed; one after the other
  --minutes N            begin no schedule after that; default 60
  --count N              so many schedules, however long they take
  --seed N               the first seed; default: one that was not played today
  --at-once N            embedded schedules that are played at the same time; default 6

Every seed is printed with its outcome. To play a seed again: npm run soak -- --kind KIND --seed SEED --count 1
`;

function readWish(): SoakWish {
  const { values } = parseArgs({
    options: {
      kind: { type: 'string', default: 'embedded' },
      minutes: { type: 'string' },
      count: { type: 'string' },
      seed: { type: 'string' },
      'at-once': { type: 'string', default: '6' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const { kind } = values;
  if (kind !== 'embedded' && kind !== 'real') throw new TypeError(`--kind ${kind}: it is embedded or real`);
  const count = numberOf('count', values.count);
  const minutes = numberOf('minutes', values.minutes) ?? (count === undefined ? 60 : undefined);
  // Seeds of `npm test` are small.
  const seed = numberOf('seed', values.seed) ?? Math.floor(Date.now() / 1000);
  return { kind, count, minutes, seed, atOnce: numberOf('at-once', values['at-once'])! };
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new TypeError(`--${name} ${text}: it is a whole number from 1 on`);
  return number;
}

function wishOrExit(): SoakWish {
  try {
    return readWish();
  } catch (thrown) {
    process.stderr.write(`${(thrown as Error).message}\n\n${HELP}`);
    process.exit(2);
  }
}

const failed = await soak(wishOrExit());
// What a failed schedule left behind must not keep this alive.
process.exit(failed > 0 ? 1 : 0);
