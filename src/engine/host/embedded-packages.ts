import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

export type EmbeddedVariant = 'cpu' | 'vulkan' | 'metal' | 'cuda';

/** The npm release of the engine's binaries; the structs in `bindings.ts` are written for exactly this one. */
const PACKAGE_VERSION = '3.22.1';

/** One build of the embedded engine, installed or not. */
export interface EmbeddedBuild {
  readonly variant: EmbeddedVariant;
  readonly package: string;
  readonly version: string;
  /** The folder of its shared libraries; null when it is not installed. */
  readonly directory: string | null;
  /** Why it cannot be used; '' when it can. */
  readonly reason: string;
}

/** Package names by platform and architecture, the best for a GPU first. */
const PACKAGES: Readonly<Record<string, readonly (readonly [EmbeddedVariant, string])[]>> = {
  'linux-x64': [
    ['cpu', 'linux-x64'],
    ['vulkan', 'linux-x64-vulkan'],
    ['cuda', 'linux-x64-cuda'],
  ],
  'linux-arm64': [['cpu', 'linux-arm64']],
  'darwin-arm64': [['metal', 'mac-arm64-metal']],
  'darwin-x64': [['cpu', 'mac-x64']],
  'win32-x64': [
    ['cpu', 'win-x64'],
    ['vulkan', 'win-x64-vulkan'],
    ['cuda', 'win-x64-cuda'],
  ],
  'win32-arm64': [['cpu', 'win-arm64']],
};

/**
 * The builds that exist for this platform, with where each is installed: beside Ridgepoint, or in `addedFolder`, where
 * `ridgepoint engines add` puts the ones that are too large for everybody.
 */
export function embeddedVariants(addedFolder?: string): EmbeddedBuild[] {
  const names = PACKAGES[`${process.platform}-${process.arch}`] ?? [];
  return names.map(([variant, name]) => embeddedBuild(variant, name, addedFolder));
}

function embeddedBuild(
  variant: EmbeddedVariant,
  name: string,
  addedFolder: string | undefined,
): EmbeddedBuild {
  const build = { variant, package: `@node-llama-cpp/${name}`, version: PACKAGE_VERSION };
  const found = packageFolders(build.package, addedFolder).find((folder) => existsSync(folder));
  if (found === undefined) {
    const remedy = variant === 'cuda' ? 'ridgepoint engines add cuda' : 'npm install';
    return { ...build, directory: null, reason: `not installed; run: ${remedy}` };
  }
  const manifest = JSON.parse(readFileSync(path.join(found, 'package.json'), 'utf8')) as { version?: string };
  if (manifest.version !== PACKAGE_VERSION) {
    const reason = `version ${manifest.version ?? 'unknown'} is installed, ${PACKAGE_VERSION} is needed`;
    return { ...build, directory: null, reason };
  }
  return { ...build, directory: path.join(found, 'bins', name), reason: '' };
}

function packageFolders(packageName: string, addedFolder: string | undefined): string[] {
  const searched = createRequire(import.meta.url).resolve.paths(packageName) ?? [];
  const added = addedFolder === undefined ? [] : [path.join(addedFolder, 'node_modules')];
  return [...searched, ...added].map((folder) => path.join(folder, packageName));
}
