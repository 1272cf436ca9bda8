import type { Command } from 'commander';
import type { Enter } from './context.ts';

/** One command: what the overview needs, and where the rest is. */
interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly example: string;
  /** Loads the options and the action. Only the command that was asked for is loaded, so that `--help` is quick. */
  readonly load: () => Promise<(command: Command, enter: Enter) => void>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'check',
    summary: 'measure this machine: facts, ceilings, a dense and a mixture-of-experts model (the default)',
    example: 'ridgepoint check --quick',
    load: async () => (await import('./check-command.ts')).configureCheck,
  },
  {
    name: 'bench',
    summary: 'benchmark models; the flags are those of llama-bench',
    example: 'ridgepoint bench qwen3-30b-a3b:Q4_K_M -p 512,2048 -n 128 -d 0-8192+4096',
    load: async () => (await import('./bench-command.ts')).configureBench,
  },
  {
    name: 'probe',
    summary: 'measure the ceilings: memory bandwidth, matrix products, transfers; draw the roofline',
    example: 'ridgepoint probe gemm --types F16,Q4_K',
    load: async () => (await import('./probe-command.ts')).configureProbe,
  },
  {
    name: 'synth',
    summary: 'write a model with random weights as a GGUF file',
    example: 'ridgepoint synth llama-2-7b:Q4_0 -o llama-2-7b.gguf',
    load: async () => (await import('./synth.ts')).configureSynth,
  },
  {
    name: 'fit',
    summary: 'say what memory a model takes, and whether a machine has it',
    example: 'ridgepoint fit gpt-oss-120b --ctx 131072 --machine framework-desktop-395-128',
    load: async () => (await import('./fit-command.ts')).configureFit,
  },
  {
    name: 'predict',
    summary: 'predict the speed of models on machines, with intervals; nothing is run',
    example: 'ridgepoint predict gpt-oss-120b --machine nvidia-dgx-spark-gb10 --depth 0,32768',
    load: async () => (await import('./predict-command.ts')).configurePredict,
  },
  {
    name: 'explain',
    summary:
      'show where the time of a token or of a prompt goes, from the physical limit to what is expected',
    example: 'ridgepoint explain llama-2-7b:Q4_0 --machine amd-ryzen-ai-max-395 --backend vulkan-radv',
    load: async () => (await import('./explain-command.ts')).configureExplain,
  },
  {
    name: 'compare',
    summary: 'compare machines on a workload of your own: speed, seconds, power, price',
    example:
      'ridgepoint compare amd-ryzen-ai-max-395 nvidia-rtx-5090 -m gpt-oss-20b --prompt 60000 --cached 0.7',
    load: async () => (await import('./compare-command.ts')).configureCompare,
  },
  {
    name: 'calibrate',
    summary: 'measure three points that teach the predictions this machine',
    example: 'ridgepoint calibrate',
    load: async () => (await import('./calibrate-command.ts')).configureCalibrate,
  },
  {
    name: 'machine',
    summary: 'show what is known about this machine, and where it was read',
    example: 'ridgepoint machine --save my-machine.json',
    load: async () => (await import('./machine.ts')).configureMachine,
  },
  {
    name: 'results',
    summary: 'list what was measured here, and export it in the formats of llama-bench',
    example: 'ridgepoint results export -o csv > results.csv',
    load: async () => (await import('./results.ts')).configureResults,
  },
  {
    name: 'models',
    summary: 'list the models of the catalogue',
    example: 'ridgepoint models qwen3',
    load: async () => (await import('./models.ts')).configureModels,
  },
  {
    name: 'devices',
    summary: 'list the devices of the catalogue, and explain where their figures come from',
    example: 'ridgepoint devices show amd-ryzen-ai-max-395',
    load: async () => (await import('./devices.ts')).configureDevices,
  },
  {
    name: 'engines',
    summary: 'list the engines that are installed, and the devices that each one sees; add one',
    example: 'ridgepoint engines add cuda',
    load: async () => (await import('./engines.ts')).configureEngines,
  },
  {
    name: 'cache',
    summary: 'list or remove the synthetic models that are kept',
    example: 'ridgepoint cache clear',
    load: async () => (await import('./cache.ts')).configureCache,
  },
  {
    name: 'completion',
    summary: 'print the completion script of a shell',
    example: 'ridgepoint completion bash > ~/.local/share/bash-completion/completions/ridgepoint',
    load: async () => (await import('./completion.ts')).configureCompletion,
  },
];
