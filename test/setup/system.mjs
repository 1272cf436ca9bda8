/**
 * What the tests need from the system beyond Node: run first by `npm test`, quiet when all is there. As root on a
 * Debian-like Linux it installs what is missing; elsewhere it prints the command and fails.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const onPath = (program) =>
  (process.env['PATH'] ?? '').split(path.delimiter).some((folder) => existsSync(path.join(folder, program)));

const anyFile = (folders, pattern) =>
  folders.some((folder) => existsSync(folder) && readdirSync(folder).some((file) => pattern.test(file)));

const LIBRARY_FOLDERS = [
  '/usr/lib',
  '/usr/lib64',
  '/usr/local/lib',
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
];
const ICD_FOLDERS = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];

const NEEDS = [
  {
    what: 'the Vulkan loader',
    packageName: 'libvulkan1',
    isThere: () => anyFile(LIBRARY_FOLDERS, /^libvulkan\.so\.1$/),
  },
  {
    what: 'a Vulkan device in software (llvmpipe)',
    packageName: 'mesa-vulkan-drivers',
    isThere: () => anyFile(ICD_FOLDERS, /^lvp_icd.*\.json$/),
  },
  {
    what: 'a C++ compiler, for the official llama-bench',
    packageName: 'g++',
    isThere: () => onPath('g++'),
  },
  { what: "git, for llama-bench's source", packageName: 'git', isThere: () => onPath('git') },
];

const say = (text) => process.stderr.write(`${text}\n`);

function main() {
  if (process.platform !== 'linux') {
    say(
      `On ${process.platform} the tests of the Vulkan engine and of the official llama-bench do not run: they need Linux, with llvmpipe as its Vulkan device.`,
    );
    return 0;
  }
  const missing = NEEDS.filter(({ isThere }) => !isThere());
  if (missing.length === 0) return 0;

  const packages = missing.map(({ packageName }) => packageName);
  say(`The tests need ${missing.map(({ what }) => what).join(', ')}.`);
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    say(`Install with: sudo apt-get install --no-install-recommends ${packages.join(' ')}`);
    say('On other distributions the packages have other names.');
    return 1;
  }
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', ...packages]]) {
    const { status } = spawnSync('apt-get', args, { stdio: ['ignore', 2, 2], env: environment });
    if (status !== 0) {
      say(`apt-get ${args.join(' ')} failed; see above.`);
      return 1;
    }
  }
  const still = NEEDS.filter(({ isThere }) => !isThere());
  if (still.length > 0) say(`Still missing: ${still.map(({ what }) => what).join(', ')}.`);
  return still.length === 0 ? 0 : 1;
}

process.exitCode = main();
