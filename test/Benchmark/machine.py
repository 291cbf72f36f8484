"""The CPU of this machine: its name, and what its memory and arithmetic allow."""
import json, os, subprocess, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def cpu():
    """"AMD EPYC (avx2, avx512_vnni)"."""
    lines = dict(line.split(":", 1) for line in open("/proc/cpuinfo").read().split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    flags = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "amx_int8") if flag in fields["flags"].split()]
    return f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']}; {', '.join(flags)})"


def limits(threads):
    """Rates of machine.cpp for each number of threads."""
    compiler = os.environ.get("CXX", "c++")
    with tempfile.TemporaryDirectory() as work:
        program = os.path.join(work, "machine")
        subprocess.run([compiler, "-O2", "-std=c++17", "-pthread", os.path.join(HERE, "machine.cpp"), "-o", program], check=True)
        return {count: json.loads(subprocess.run([program, str(count)], check=True, stdout=subprocess.PIPE).stdout) for count in threads}
