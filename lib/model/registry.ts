// The models that have a short name: where they are published, at which commit, and the SHA-256 of their files.
// A commit and not a branch, because a name has to give the same vectors on every day and every machine.
// Plain data: model-cache.ts fetches them, model-folder.ts reads what is asked for.

export const PRECISIONS = ['fp32', 'int8', 'fp16'] as const
export type Precision = (typeof PRECISIONS)[number]

/**
 * Where a folder or a repository keeps its graph of each precision; the first one there is taken. int8 first as optimum
 * and transformers.js write it, then as sentence-transformers does, whose files for AVX-512 and for ARM are byte for byte
 * the same (the four of MiniLM and MPNet are).
 */
export const GRAPHS: Readonly<Record<Precision, readonly string[]>> = {
  fp32: ['model.onnx', 'onnx/model.onnx'],
  int8: [
    'onnx/model_quantized.onnx',
    'onnx/model_int8.onnx',
    'onnx/model_qint8_avx512_vnni.onnx',
    'onnx/model_qint8_arm64.onnx',
    'model_quantized.onnx',
    'model_int8.onnx',
  ],
  fp16: ['onnx/model_fp16.onnx', 'model_fp16.onnx'],
}

export const TOKENIZER = 'tokenizer.json'

/** What else decides a vector, or the memory a batch takes; most models have all of them, none needs to. */
export const CONFIGS = [
  'modules.json',
  'config.json',
  'config_sentence_transformers.json',
  'sentence_bert_config.json',
  'tokenizer_config.json',
] as const

export type RegisteredModel = Readonly<{
  name: string
  repository: string
  /** The commit, 40 hexadecimal digits. */
  revision: string
  dimension: number
  maxTokens: number
  /** The precisions that are published. */
  graphs: Readonly<Partial<Record<Precision, { file: string; bytes: number }>>>
  /** File → SHA-256. A file of it that is not named here is recorded when it is first seen, and compared from then on. */
  checksums: Readonly<Record<string, string>>
}>

// Every commit and checksum was found written down, in agreement, in at least two public projects that pin the same files
// (those of MPNet's configs: in one list of its whole commit, whose other files others confirm). All four have every
// file of CONFIGS and 1_Pooling/config.json.
export const REGISTERED: readonly RegisteredModel[] = [
  {
    name: 'all-MiniLM-L6-v2',
    repository: 'sentence-transformers/all-MiniLM-L6-v2',
    revision: '1110a243fdf4706b3f48f1d95db1a4f5529b4d41',
    dimension: 384,
    maxTokens: 256,
    graphs: {
      fp32: { file: 'onnx/model.onnx', bytes: 90_405_214 },
      int8: { file: 'onnx/model_qint8_avx512_vnni.onnx', bytes: 23_026_053 },
    },
    checksums: {
      'onnx/model.onnx': '6fd5d72fe4589f189f8ebc006442dbb529bb7ce38f8082112682524616046452',
      'onnx/model_qint8_avx512_vnni.onnx': '4278337fd0ff3c68bfb6291042cad8ab363e1d9fbc43dcb499fe91c871902474',
      'tokenizer.json': 'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037',
      'modules.json': '84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf',
      '1_Pooling/config.json': '4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23',
      'config.json': '953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41',
      'config_sentence_transformers.json': '061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3',
      'sentence_bert_config.json': 'fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7',
      'tokenizer_config.json': 'acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b',
    },
  },
  {
    name: 'all-mpnet-base-v2',
    repository: 'sentence-transformers/all-mpnet-base-v2',
    revision: 'e8c3b32edf5434bc2275fc9bab85f82640a19130',
    dimension: 768,
    maxTokens: 384,
    graphs: {
      fp32: { file: 'onnx/model.onnx', bytes: 435_826_548 },
      int8: { file: 'onnx/model_qint8_avx512_vnni.onnx', bytes: 110_124_379 },
    },
    checksums: {
      'onnx/model.onnx': '74187b16d9c946fea252e120cfd7a12c5779d8b8b86838a2e4c56573c47941bd',
      'onnx/model_qint8_avx512_vnni.onnx': 'c392a9c545c7d4438a16fed8287a76a576b27eaf029c1c23bbf78a7a666d197f',
      'tokenizer.json': 'b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842',
      'modules.json': '84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf',
      '1_Pooling/config.json': 'a37f83ada23e7887be6b88f4998927dbeac0038af301553c7cd5461413bf1a56',
      'config.json': 'd46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0',
      'config_sentence_transformers.json': '061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3',
      'sentence_bert_config.json': 'cabfacded9272091a06ff595a46ef027a76ddf4ac9e77d0fcf11c605748f1667',
      'tokenizer_config.json': '67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268',
    },
  },
  {
    name: 'bge-small-en-v1.5',
    repository: 'BAAI/bge-small-en-v1.5',
    revision: '5c38ec7c405ec4b44b94cc5a9bb96e735b38267a',
    dimension: 384,
    maxTokens: 512,
    graphs: { fp32: { file: 'onnx/model.onnx', bytes: 133_093_490 } },
    checksums: {
      'onnx/model.onnx': '828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35',
      'tokenizer.json': 'd241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66',
      'config.json': '094f8e891b932f2000c92cfc663bac4c62069f5d8af5b5278c4306aef3084750',
      'tokenizer_config.json': '9261e7d79b44c8195c1cada2b453e55b00aeb81e907a6664974b4d7776172ab3',
    },
  },
  {
    name: 'bge-base-en-v1.5',
    repository: 'BAAI/bge-base-en-v1.5',
    revision: 'a5beb1e3e68b9ab74eb54cfd186867f64f240e1a',
    dimension: 768,
    maxTokens: 512,
    graphs: { fp32: { file: 'onnx/model.onnx', bytes: 435_811_539 } },
    checksums: {
      'onnx/model.onnx': '9bc579acdba21c253c62a9bf866891355a63ffa3442b52c8a37d75b2ccb91848',
      'tokenizer.json': 'd241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66',
      'config.json': 'bc00af31a4a31b74040d73370aa83b62da34c90b75eb77bfa7db039d90abd591',
      'tokenizer_config.json': '9261e7d79b44c8195c1cada2b453e55b00aeb81e907a6664974b4d7776172ab3',
    },
  },
]
