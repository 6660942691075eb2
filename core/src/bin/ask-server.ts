import { failure } from '../errors.ts';
import { REQUEST_ANNOTATION, type RequestVerb, requestText } from '../power/request.ts';
import { type Server, ServerKind } from '../resources/kinds.ts';
import { type Following, followServer } from './follow-server.ts';
import { serverNamed } from './running-sidero.ts';

interface Answer {
  readonly server: Server;
  readonly problem: string | undefined;
}

/**
 * Writes a request on a Server and waits for the answer of the sidero that runs. What was not begun in time is taken back: nobody wants a
 * machine switched off an hour later. Undefined when nothing was to be waited for.
 * @throws SIDERO_REQUEST_FAILED, SIDERO_REQUEST_UNANSWERED, SIDERO_RESOURCE_MISSING, SIDERO_SERVER_UNKNOWN
 */
export async function askServer(following: Following, verb: RequestVerb): Promise<Server | undefined> {
  const { sidero, server: name, waitMs } = following;
  const text = requestText(verb);
  await serverNamed(sidero, name);
  const begin = () => annotate(following, (annotations) => ({ ...annotations, [REQUEST_ANNOTATION]: text }));
  if (waitMs === 0) {
    await begin();
    return undefined;
  }
  let answer: Answer | undefined;
  try {
    answer = await followServer<Answer>(following, { what: verb, begin, outcome: outcomeOf(text) });
  } finally {
    if (!answer) await takeBack(following, text);
  }
  if (!answer) throw failure('SIDERO_REQUEST_UNANSWERED', { server: name, request: verb, waitMs });
  if (answer.problem !== undefined) throw failure('SIDERO_REQUEST_FAILED', { server: name, request: verb, problem: answer.problem });
  return answer.server;
}

// The loop answers first and takes the request off then; what it does next may write over its answer.
function outcomeOf(text: string): (server: Server) => Answer | undefined {
  let stood = false;
  return (server) => {
    const { request, state, problem } = server.status?.powerAction ?? {};
    const standing = server.metadata.annotations?.[REQUEST_ANNOTATION];
    stood ||= standing === text;
    if (request === text && state === 'done') return { server, problem: undefined };
    if (request === text && state === 'failed') return { server, problem: problem ?? 'no reason was given' };
    if (!stood || standing === text || request === text) return undefined;
    return { server, problem: standing ? `another request took its place: ${standing}` : undefined };
  };
}

async function takeBack(following: Following, text: string): Promise<void> {
  const { sidero, server } = following;
  const { status } = (await sidero.resources.get(ServerKind, { name: server }, { live: true })) ?? {};
  if (status?.powerAction?.request === text) return;
  await annotate(following, (annotations) => {
    if (annotations[REQUEST_ANNOTATION] !== text) return annotations;
    const { [REQUEST_ANNOTATION]: _request, ...others } = annotations;
    return others;
  }).catch(() => undefined);
}

/** Changes the annotations of a Server. */
export async function annotate(
  { sidero, server }: Pick<Following, 'sidero' | 'server'>,
  edit: (annotations: Record<string, string>) => Record<string, string>,
): Promise<void> {
  await sidero.resources.change(ServerKind, { name: server }, (draft) => {
    draft.metadata.annotations = edit(draft.metadata.annotations ?? {});
  });
}
