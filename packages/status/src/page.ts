import { createHash } from 'node:crypto';

/** The page, and a policy that allows its own script, style and origin, and nothing else. */
export interface Page {
  html: string;
  policy: string;
}

/** The page with its policy. */
export function withPolicy(html: string): Page {
  const script = hashOf(html, 'script');
  const style = hashOf(html, 'style');
  const own =
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return { html, policy: `default-src 'none'; script-src ${script}; style-src ${style}; ${own}` };
}

/** The hash of an inline element (CSP level 3, section 8.4). */
function hashOf(html: string, element: 'script' | 'style'): string {
  const [, text = ''] = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(html) ?? [];
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
