import { dump } from 'js-yaml';

/** The text of a kubeconfig with one context, `sidero`. */
export function kubeconfigText({ url, caPem, token }: { url: string; caPem: string; token: string }): string {
  return dump({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sidero', cluster: { server: url, 'certificate-authority-data': Buffer.from(caPem).toString('base64') } }],
    users: [{ name: 'sidero', user: { token } }],
    contexts: [{ name: 'sidero', context: { cluster: 'sidero', user: 'sidero' } }],
    'current-context': 'sidero',
  });
}
