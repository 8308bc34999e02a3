// The words in which libraries say that memory ran out. Alone, because both the model's process and who waits for it ask.

/**
 * Whether an error's text means that memory ran out. m: onnxruntime's CPU allocators under an address-space limit, and V8's
 * array buffers; those of CUDA and cuDNN are from onnxruntime's sources.
 */
export function saysOutOfMemory(text: string): boolean {
  return /failed to allocate memory|bad_alloc|out of memory|available memory of \d+ is smaller|(CUBLAS|CUDNN)_STATUS_ALLOC_FAILED|array buffer allocation failed|cannot allocate memory/i.test(
    text,
  )
}
