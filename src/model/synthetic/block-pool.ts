import { GGML_TYPES, type GgmlTypeName } from '../ggml-types.ts';
import { fillRandomBlocks } from './blocks.ts';
import { RandomBits, seedOfText } from './random-bits.ts';

/** The size of one pool: enough that no cache mistakes two tensors for one, little enough to hold several. */
const POOL_BYTES = 6 * 2 ** 20;
/** Pools that are held at once. A file needs one for each (type, deviation), which are eight or nine. */
const MAX_POOLS = 10;

/** Weights of one distribution that a file needs. */
export interface RandomDemand {
  readonly type: GgmlTypeName;
  readonly deviation: number;
  readonly bytes: number;
}

/**
 * Pools of random blocks, one for each type and deviation, from which tensors are cut at random block-aligned places:
 * the writer copies nothing and waits only for the disk. At most MAX_POOLS pools are held (60 MiB); the one that was
 * used longest ago makes room.
 */
export class BlockPools {
  private readonly pools = new Map<string, Uint8Array>();
  private readonly demanded = new Map<string, number>();
  private readonly seed: string;

  /**
   * @param seed - decides every byte.
   * @param demands - all that the file needs: no pool is larger than what is cut from it.
   */
  constructor(seed: string, demands: readonly RandomDemand[]) {
    this.seed = seed;
    for (const { type, deviation, bytes } of demands) {
      const key = poolKey(type, deviation);
      this.demanded.set(key, (this.demanded.get(key) ?? 0) + bytes);
    }
  }

  /**
   * The random bytes of one tensor, as views into a pool, in order.
   * @param name - the tensor's name; decides where the pool is cut.
   */
  *chunksOf(name: string, type: GgmlTypeName, deviation: number, length: number): Generator<Uint8Array> {
    const pool = this.poolOf(type, deviation);
    const { blockBytes } = GGML_TYPES[type];
    const poolBlocks = pool.byteLength / blockBytes;
    const random = new RandomBits(seedOfText(`${this.seed}/${name}`));
    // A cut in the first half leaves at least half a pool: every write is a large one.
    const cuts = Math.ceil(poolBlocks / 2);
    for (let left = length; left > 0;) {
      const start = random.below(cuts) * blockBytes;
      const chunk = pool.subarray(start, Math.min(pool.byteLength, start + left));
      left -= chunk.byteLength;
      yield chunk;
    }
  }

  private poolOf(type: GgmlTypeName, deviation: number): Uint8Array {
    const key = poolKey(type, deviation);
    let pool = this.pools.get(key);
    if (pool === undefined) {
      if (this.pools.size >= MAX_POOLS) {
        for (const oldest of this.pools.keys()) {
          this.pools.delete(oldest);
          break;
        }
      }
      const { blockBytes } = GGML_TYPES[type];
      const size = Math.min(POOL_BYTES, this.demanded.get(key) ?? POOL_BYTES);
      pool = new Uint8Array(Math.max(1, Math.floor(size / blockBytes)) * blockBytes);
      fillRandomBlocks(type, pool, deviation, new RandomBits(seedOfText(`${this.seed}/${key}`)));
    } else {
      this.pools.delete(key);
    }
    this.pools.set(key, pool);
    return pool;
  }
}

function poolKey(type: GgmlTypeName, deviation: number): string {
  return `${type}/${deviation}`;
}
