import { clientAddress, type Route, type Sidero } from '@sidero/core';
import type { ClusterApiKinds } from '../kinds.ts';
import { type Answer, ConfigAnswers } from './config-answers.ts';
import { TOKEN_KEY } from './config-claim.ts';

type Context = Parameters<Route['handler']>[0];

/** How long a machine is asked to wait when we cannot answer yet; Talos has a back-off of its own. */
const RETRY_SECONDS = 5;

/** `GET /configdata?uuid=`: the Talos configuration of a bound machine. */
export function addConfigRoute(sidero: Sidero, kinds: () => Promise<ClusterApiKinds>): void {
  const answers = new ConfigAnswers(sidero, kinds);
  const counted = sidero.metrics.counter('sidero_configdata_total', 'Answers of /configdata, by status and by how the machine proved itself.', [
    'status',
    'proof',
  ]);
  sidero.http.route('GET', '/configdata', async (context) => {
    const query = new URLSearchParams(context.querystring);
    const answer = await answers.answer({
      uuid: query.get('uuid') ?? '',
      token: query.get(TOKEN_KEY) ?? '',
      address: clientAddress(context.ip),
      isPeek: context.method === 'HEAD',
    });
    counted({ status: String(answer.status), proof: answer.proof });
    give(context, answer);
  });
}

function give(context: Context, { status, body }: Answer): void {
  context.status = status;
  if (status === 503 || status === 429) context.set('Retry-After', String(RETRY_SECONDS));
  // It holds keys of a cluster.
  context.set('Cache-Control', 'no-store');
  context.type = 'text/plain; charset=utf-8';
  context.body = typeof body === 'string' ? `${body}\n` : body;
}
