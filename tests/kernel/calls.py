"""Every system call that a static program of x86_64 holds, read out of its machine code.

For each `syscall` instruction the number is followed backwards through the code to where it is put into rax. libc's
`syscall` takes the number as an argument, as does whatever is like it: there the callers are asked. A number that cannot be
found is an error and no silence.

Jump tables are not followed: code that is reached by one alone is read from where it begins. What a number would have to be
for that to hide it (set before the table, used behind it) is looked for by running the program (tests/kernel/run).
"""

import collections
import re
import struct
import subprocess

SIZES = {f"r{n}": [f"r{n}", f"r{n}d", f"r{n}w", f"r{n}b"] for n in range(8, 16)}
SIZES |= {f"r{n}x": [f"r{n}x", f"e{n}x", f"{n}x", f"{n}l", f"{n}h"] for n in "abcd"}
SIZES |= {f"r{n}": [f"r{n}", f"e{n}", n, f"{n}l"] for n in ("si", "di", "bp")}
REGISTER = {f"%{name}": register for register, names in SIZES.items() for name in names}
# What a call leaves as it was (the System V ABI).
KEPT = {"rbx", "rbp", "r12", "r13", "r14", "r15"}
ENDS = {"jmp", "ret", "ud2", "hlt", "int3"}
READS = ("cmp", "test", "push", "bt", "nop", "ucomis", "comis")

# glibc has every thread call what one thread calls: setuid and its kin (setxid_signal_handler in nptl). The number comes out
# of a struct whose fields are the arguments; the calls are 105 to 119, older than any kernel that is meant here.
SETXID = {"mov 0x10(%R),%rsi", "mov 0x8(%R),%rdi", "mov 0x18(%R),%rdx", "mov (%R),%eax"}

Line = collections.namedtuple("Line", "address name operands target")


class Code:
    def __init__(self, program):
        self.program = open(program, "rb").read()
        self.lines, self.at = [], {}
        self.jumps, self.calls, self.loads = (collections.defaultdict(list) for _ in range(3))
        self.sections = self.loaded(program)
        listing = subprocess.run(
            ["objdump", "-d", "--no-show-raw-insn", program], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        # With symbols objdump writes `call 4a10 <read>`, without them `call 0x4a10`.
        listing = re.sub(r"\b(?:0x)?([0-9a-f]+) <[^>\n]*>$", r"0x\1", listing, flags=re.M)
        prefix = r"(?:(?:lock|rep|repz|repnz|bnd|notrack|cs|data16) )*"
        form = re.compile(rf"^ *([0-9a-f]+):\t{prefix}(\S+) *([^#\n]*?) *(?:# 0x([0-9a-f]+))?$", re.M)
        for address, name, operands, target in form.findall(listing):
            self.at[int(address, 16)] = len(self.lines)
            self.lines.append(Line(int(address, 16), name, operands, int(target, 16) if target else None))
        for index, line in enumerate(self.lines):
            self.note(index, line)

    def loaded(self, program):
        rows = subprocess.run(["readelf", "-SW", program], check=True, stdout=subprocess.PIPE, text=True).stdout
        found = re.findall(r"\] \S+ +(\S+) +([0-9a-f]{16}) ([0-9a-f]+) ([0-9a-f]+)", rows)
        return [tuple(int(n, 16) for n in row[1:]) for row in found if row[0] not in ("NULL", "NOBITS")]

    def word(self, address):
        """What a slot of the linker's tables holds; its relocations are relative, and so is the code."""
        for start, offset, size in self.sections:
            if start and start <= address and address + 8 <= start + size:
                return struct.unpack_from("<Q", self.program, offset + address - start)[0]
        return None

    def note(self, index, line):
        goes = line.name == "call" or line.name.startswith(("j", "loop"))
        if goes and re.fullmatch(r"0x[0-9a-f]+", line.operands):
            (self.calls if line.name == "call" else self.jumps)[int(line.operands, 16)].append(index)
        elif line.target is not None:
            if goes:
                self.calls[self.word(line.target)].append(index)
            elif line.name == "mov" and line.operands.split(",")[-1] in REGISTER:
                self.loads[self.word(line.target)].append(index)
            elif line.name == "lea":
                self.loads[line.target].append(index)

    def callers(self, entry):
        """Where a function is called: directly, through a slot, or through a register that was loaded with it."""
        yield from self.calls[entry]
        # A jump to the beginning of a function is its last call.
        yield from self.jumps[entry]
        for load in self.loads[entry]:
            register = REGISTER[self.lines[load].operands.split(",")[-1]]
            found = list(self.uses(load + 1, register, set()))
            if not found:
                raise LookupError(f"{self.lines[load].address:x}: where {entry:x} is called that is loaded here")
            yield from found

    def uses(self, index, register, seen):
        """Calls of what a register holds, until it holds something else."""
        while index not in seen and index < len(self.lines):
            seen.add(index)
            line = self.lines[index]
            if line.name in ("call", "jmp") and REGISTER.get(line.operands.lstrip("*")) == register:
                yield index
            if line.name.startswith("j") and line.operands.startswith("0x"):
                yield from self.uses(self.at.get(int(line.operands, 16), len(self.lines)), register, seen)
            if line.name in ENDS or register in written(line):
                return
            index += 1

    def numbers(self):
        """Numbers, each with the addresses of the `syscall` instructions that call it."""
        found, wrong = collections.defaultdict(set), []
        for index, line in enumerate(self.lines):
            if line.name in ("int", "sysenter"):
                wrong.append(f"{line.address:x}: {line.name} {line.operands}: a call of 32 bits")
            if line.name == "syscall":
                try:
                    for number in self.values(index, "rax", set()):
                        found[number].add(line.address)
                except LookupError as error:
                    wrong.append(f"{line.address:x}: the number of this call is not found: {error}")
        return found, wrong

    def values(self, index, register, seen):
        """What a register may hold before an instruction."""
        work, found = [(index, register)], set()
        while work:
            index, register = work.pop()
            if (index, register) in seen:
                continue
            seen.add((index, register))
            address = self.lines[index].address
            before = [] if self.lines[index - 1].name in ENDS else [index - 1]
            if self.begins(index):
                callers = list(self.callers(address))
                if not callers:
                    raise LookupError(f"{address:x}: who calls this with the number in {register}")
                for caller in callers:
                    found |= self.values(caller, register, seen)
            else:
                before += self.jumps[address]
            for line in before:
                step = self.step(line, register)
                if isinstance(step, set):
                    found |= step
                else:
                    work.extend((line, name) for name in step)
        return found

    def begins(self, index):
        """Whether a function begins here: something calls it, or nothing that is seen leads to it (and it is no padding)."""
        address = self.lines[index].address
        if self.calls[address] or self.loads[address]:
            return True
        is_reached = self.jumps[address] or self.lines[index - 1].name not in ENDS
        return not is_reached and not self.lines[index].name.startswith(("nop", "xchg"))

    def step(self, index, register):
        """What an instruction puts into a register: a set of numbers, or the list of registers it depends on."""
        line = self.lines[index]
        source, _, target = line.operands.rpartition(",")
        if register not in written(line):
            return [register]
        if line.name == "call" and register not in ("rax", "rdx"):
            # No code reads what a call may have destroyed: this call does not return, and what follows it is padding.
            return []
        if line.name.startswith("mov") and (number := re.fullmatch(r"\$0x([0-9a-f]+)", source)):
            return {int(number[1], 16)}
        if line.name == "xor" and source == target:
            return {0}
        if line.name.startswith("mov") and source in REGISTER:
            return [REGISTER[source]]
        if line.name.startswith("cmov") and source in REGISTER:
            return [register, REGISTER[source]]
        if line.name == "pop":
            # `push $5; pop %rax` is the shortest way to put a small number into a register.
            for push in reversed(self.lines[max(0, index - 8) : index]):
                if push.name == "push" and (number := re.fullmatch(r"\$0x([0-9a-f]+)", push.operands)):
                    return {int(number[1], 16)}
                if push.name in ("push", "pop", "call"):
                    break
        if self.sets_ids(index):
            return set()
        raise LookupError(f"{line.address:x}: {line.name} {line.operands}")

    def sets_ids(self, index):
        base = re.fullmatch(r"\((%r\w+)\),%eax", self.lines[index].operands)
        around = {f"{line.name} {line.operands}" for line in self.lines[index - 3 : index + 1]}
        return bool(base) and around == {form.replace("%R", base[1]) for form in SETXID}


def written(line):
    """The registers that an instruction changes."""
    last = REGISTER.get(line.operands.rpartition(",")[2])
    if line.name == "call":
        return set(SIZES) - KEPT
    if line.name == "syscall":
        return {"rax", "rcx", "r11"}
    if line.name.startswith("cmpxchg"):
        return {"rax", last}
    if line.name.startswith(("xchg", "xadd")):
        return {REGISTER.get(name) for name in line.operands.split(",")}
    if line.name in ("mul", "imul", "div", "idiv") and "," not in line.operands:
        return {"rax", "rdx"}
    if line.name in ("cltq", "cwtl"):
        return {"rax"}
    if line.name in ("cqto", "cltd"):
        return {"rdx"}
    if line.name.startswith(READS) or line.name.startswith("j"):
        return set()
    return {last}
