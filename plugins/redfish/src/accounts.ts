import type { ServiceClient } from './client.ts';
import { Account, AccountService } from './documents.ts';

/**
 * Gives the user that is logged in another password; later logins of this service use it.
 * @throws SIDERO_BMC_UNSUPPORTED when there is no account of that name
 */
export async function changePassword(client: ServiceClient, pass: string, signal: AbortSignal): Promise<void> {
  const { failures, service } = client;
  const root = await service.root({ failures, signal });
  if (!root.AccountService) throw failures.unsupported('the service has no AccountService');
  const { document } = await client.get(root.AccountService['@odata.id'], AccountService, signal);
  if (!document.Accounts) throw failures.unsupported('the AccountService has no Accounts');
  for (const member of await client.members(document.Accounts['@odata.id'], signal)) {
    const account = await client.get(member, Account, signal);
    if (account.document.UserName !== service.user) continue;
    const headers = account.etag === undefined ? {} : { 'if-match': account.etag };
    service.hide(pass);
    await client.orderTaken({ method: 'PATCH', path: account.path, body: { Password: pass }, headers }, signal);
    service.changePassword(pass);
    return;
  }
  throw failures.unsupported('none of its accounts has the user name that we log in with');
}
