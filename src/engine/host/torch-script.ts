/**
 * What multiplies in PyTorch: reads one request as a line of JSON from standard input, answers with one line. PyTorch
 * calls its AMD devices `cuda` as well.
 */
export const TORCH_SCRIPT = `
import json, sys, time
import torch

def pick():
    if torch.cuda.is_available():
        return "cuda", torch.cuda.get_device_name(0)
    if getattr(torch.backends, "mps", None) and torch.backends.mps.is_available():
        return "mps", "Apple GPU"
    return "cpu", "CPU"

device, name = pick()
synchronize = {"cuda": lambda: torch.cuda.synchronize(), "mps": lambda: torch.mps.synchronize(), "cpu": lambda: None}[device]
print(json.dumps({"version": torch.__version__, "device": device, "name": name, "hip": torch.version.hip}), flush=True)

def answer(request):
    kind = getattr(torch, request["type"])
    if device == "cpu" and request["threads"] > 0:
        torch.set_num_threads(request["threads"])
    a = torch.randn(request["rows"], request["columns"], device=device).to(kind)
    b = torch.randn(request["batch"], request["columns"], device=device).to(kind).t()
    c = torch.empty(request["rows"], request["batch"], device=device, dtype=kind)
    samples = []
    end = None
    while len(samples) < 6 or (time.perf_counter() < end and len(samples) < 20000):
        start = time.perf_counter_ns()
        torch.matmul(a, b, out=c)
        synchronize()
        samples.append(time.perf_counter_ns() - start)
        if end is None:
            end = time.perf_counter() + request["milliseconds"] / 1000
    # The first run chooses and loads a kernel.
    return {"samplesNanoseconds": samples[1:]}

for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except (RuntimeError, TypeError, AttributeError) as error:
        reply = {"refusal": str(error).split("\\n")[0]}
    print(json.dumps(reply), flush=True)
`;
