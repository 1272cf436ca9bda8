import { readFileSync } from 'node:fs';

/** The version in package.json. */
export function packageVersion(): string {
  // src/ and dist/ lie equally deep below the package.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { readonly version: string };
  return version;
}
