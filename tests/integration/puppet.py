"""A worker whose assignment says what it does, built on the one that was written to proto/README.md.

The assignment is a JSON array of steps: an object is a frame and goes out as it stands; "tell" ends the run with
everything this worker was told as its result."""
import asyncio
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import contract_worker


class Puppet(contract_worker.Run):
    async def work(self):
        try:
            for step in json.loads(self.frame["assignment"]):
                await self.play(step)
        except asyncio.CancelledError:
            await self.say(kind="terminal", status="cancelled")

    async def play(self, step):
        if step == "tell":
            await self.say(kind="terminal", status="completed", result=json.dumps(self.told()))
        else:
            await self.say(**step)

    def told(self):
        return {"spec": self.spec, "run": self.frame, "pid": os.getpid(), "arguments": sys.argv[1:],
                "environment": dict(os.environ)}


contract_worker.Run = Puppet
sys.exit(asyncio.run(contract_worker.main()))
