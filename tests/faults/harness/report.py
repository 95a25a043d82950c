"""The page a person reads: what was promised, what held, what happened when; and the same in plain text."""
import html
import json
import os
import re
from collections import Counter

import check
import plan

STYLE = """:root{--ink:#1c2420;--dim:#66706a;--line:#e4e6e0;--paper:#fbfbf9;--card:#fff;--good:#1f7a45;--bad:#b3261e;--curve:#2d6cdf;
--process:#d98a29;--network:#8a63c9;--store:#c9485b;--client:#2f9e8f}
@media(prefers-color-scheme:dark){:root{--ink:#e3e7e3;--dim:#98a29b;--line:#333a36;--paper:#161a18;--card:#1d2320;--good:#5cc488;--bad:#ff8a80;--curve:#7aa7ff}}
body{font:15px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--paper)}
h1{font-size:1.6rem;margin:0}h2{font-size:1.05rem;margin:2.2rem 0 .6rem}p{margin:.4rem 0}.sub{color:var(--dim)}
.ok{color:var(--good);font-weight:600}.no{color:var(--bad);font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(12rem,1fr));gap:.7rem;margin:1.2rem 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}
.card b{display:block;font-size:1.25rem;font-weight:600;line-height:1.3}.card span{color:var(--dim);font-size:.85rem}
table{border-collapse:collapse;width:100%}td,th{padding:.35rem .7rem .35rem 0;vertical-align:top;border-top:1px solid var(--line);text-align:left}
th{font-weight:600;color:var(--dim);font-size:.85rem;border-top:0}td:first-child{white-space:nowrap}td.wide{width:45%}
code{font:13px ui-monospace,monospace}svg{width:100%;height:auto;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
svg text{fill:var(--ink);font-family:system-ui,sans-serif}svg .faint{fill:var(--dim)}summary{cursor:pointer;color:var(--dim)}
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:.15rem;margin:0 .3rem 0 .9rem;vertical-align:-.1rem}
.evidence{font-size:.92rem}"""

STORE = {False: "one Redis with <code>appendfsync always</code> on a disk of its own",
         True: "a Redis with <code>appendfsync always</code> and a sentinel on each of three more, of which one is the primary"}
SETTING = ("Three hosts (network namespaces): two brokers, three runners, {store}, and a host "
           "of producers, clients and subscribers. A seed decides every fault before anything runs. The checker reads the store itself and shares no "
           "code with Rhizome.")


def seconds(value):
    return "-" if value is None else f"{value:.1f} s"


def both(values):
    return f"{seconds(check.percentile(values, 50))} / {seconds(check.percentile(values, 99))}" if values else "none"


def figures(facts):
    """[(what, value)], the few numbers that say most. What a run that broke off never came to is missing."""
    if "store" not in facts:
        return [("faults", len(facts["timeline"])), ("looks at the whole store", len(facts.get("looks", [])))]
    jobs = facts["load"]["jobs"]
    stored = facts["store"]["children"]
    calm, disturbed = check.settle_times(facts)
    receipts = sorted(job["at"] - job["asked_at"] for job in jobs.values() if job.get("at"))
    ends = Counter(s["a"]["status"] for s in stored.values())
    return [("jobs with a receipt", f"{len(check.receipted(facts['load'])):,}"), ("faults", len(facts["timeline"])),
            ("completed", f"{ends.pop('completed', 0):,}"), ("other ends", ", ".join(f"{n} {status}" for status, n in ends.most_common()) or "none"),
            ("receipt, p50 / p99", both(receipts)),
            (f"what {len(calm)} lost runs took to be settled, p50 / p99", both(calm)),
            (f"the same of {len(disturbed)}, store away meanwhile", both(disturbed)),
            ("events heard", f"{sum(len(e) for c in facts['load']['heard'].values() for e in c.values()):,}")]


def as_text(options, facts, verdicts):
    lines = [f"{what}: {value}" for what, value in figures(facts)]
    for verdict in verdicts:
        lines.append(f"{'held  ' if verdict.held else 'BROKEN'}  {verdict.promise}")
        lines += [f"          {text}" for text in gathered(verdict.evidence)]
    broken = sum(not verdict.held for verdict in verdicts)
    lines.append(f"seed {options.seed}: " + ("all promises held" if broken == 0 else f"{broken} of {len(verdicts)} promises BROKEN"))
    return "\n".join(lines)


def gathered(evidence):
    """The same said of many children is said once: the first, and how many more."""
    kinds = {}
    for text in evidence:
        kinds.setdefault(re.sub(r"^[cf]-\d+", "", text), []).append(text)
    return [texts[0] if len(texts) == 1 else f"{texts[0]} (and so {len(texts) - 1} more)" for texts in kinds.values()]


# ---- the picture: faults as bars by who is hurt, over the curve of what is open ----

WIDE, ROW, LEFT, CURVE = 1000, 18, 84, 90


def ticks(end):
    step = next(step for step in (5, 10, 30, 60, 120, 300, 600, 3600) if end / step <= 12)
    return range(0, int(end) + 1, step)


def chart(facts):
    steps, looks = facts["timeline"], facts.get("looks", [])
    end = max([look["at"] for look in looks] + [step["healed"] or 0 for step in steps] + [1])
    targets = sorted({step["target"] for step in steps})
    high = ROW * len(targets) + CURVE + 34
    parts = []

    def x(at):
        return LEFT + (WIDE - LEFT - 12) * at / end

    for at in ticks(end):
        parts.append(f'<line x1="{x(at):.1f}" y1="4" x2="{x(at):.1f}" y2="{high - 20}" stroke="var(--line)"/>'
                     f'<text x="{x(at):.1f}" y="{high - 6}" font-size="11" text-anchor="middle" class="faint">{at} s</text>')
    for i, target in enumerate(targets):
        parts.append(f'<text x="6" y="{ROW * i + 17}" font-size="12">{html.escape(target)}</text>')
        for step in (s for s in steps if s["target"] == target):
            kind, told = plan.TOLD[step["fault"]]
            width = max(4, x(step["healed"] or end) - x(step["at"]))
            parts.append(f'<rect x="{x(step["at"]):.1f}" y="{ROW * i + 7}" width="{width:.1f}" height="11" rx="2" fill="var(--{kind})" opacity=".85">'
                         f'<title>{step["at"]:.1f} s, {html.escape(target)}: {html.escape(told)} ({step["fault"]})</title></rect>')
    opened = [(look["at"], sum(n for state, n in look["counts"].items() if state in ("queued", "assigned", "running"))) for look in looks]
    most, base = max([n for _, n in opened] + [1]), high - 24
    points = " ".join(f"{x(at):.1f},{base - (CURVE - 16) * n / most:.1f}" for at, n in opened)
    parts.append(f'<polyline points="{points}" fill="none" stroke="var(--curve)" stroke-width="1.8"/>')
    parts.append(f'<text x="6" y="{base - CURVE + 30}" font-size="12">open runs</text>'
                 f'<text x="6" y="{base - CURVE + 46}" font-size="11" class="faint">at most {most}</text>')
    keys = "".join(f'<span class="key" style="background:var(--{kind})"></span>{kind}' for kind in plan.KINDS)
    return (f'<p class="sub">What was hurt, and how many activations were queued, assigned or running.{keys}</p>'
            f'<svg viewBox="0 0 {WIDE} {high}" role="img" aria-label="faults over time">{"".join(parts)}</svg>')


# ---- the page ----

def promise_rows(verdicts):
    rows = []
    for v in sorted(verdicts, key=lambda v: v.held):  # what is broken first
        word = f'<td class="{"ok" if v.held else "no"}">{"held" if v.held else "broken"}</td>'
        rows.append(f'<tr>{word}<td class="wide">{html.escape(v.promise)}</td><td class="evidence">'
                    + "<br>".join(html.escape(text) for text in gathered(v.evidence)) + "</td></tr>")
    return "".join(rows)


def fault_table(facts):
    rows = "".join(f"<tr><td><code>{s['at']:.2f} s</code></td><td>{html.escape(s['target'])}</td><td>{html.escape(plan.TOLD[s['fault']][1])}</td>"
                   f"<td><code>{s['fault']}</code></td><td>{s['lasts'] or ''}</td></tr>" for s in facts["timeline"])
    return ("<details><summary>all of them, in order</summary><table><tr><th>at<th>to<th>what<th>name<th>for, s</tr>" + rows + "</table></details>")


def kinds_of_faults(facts):
    counts = Counter(step["fault"] for step in facts["timeline"])
    return ", ".join(f"{n} x {html.escape(name)}" for name, n in counts.most_common()) or "none"


def again(options):
    """The command that does the same once more."""
    how = f"--rate {options.rate:g} --seed {options.seed}" + (" --replicated" if options.replicated else "")
    if options.seconds % 60 == 0:
        return f"./ops/test --faults --minutes {options.seconds // 60:g} {how}"
    return f"tests/faults/harness/main.py --seconds {options.seconds:g} {how}"


def page(options, facts, verdicts, took):
    broken = [verdict for verdict in verdicts if not verdict.held]
    cards = "".join(f'<div class="card"><b>{html.escape(str(value))}</b><span>{html.escape(what)}</span></div>' for what, value in figures(facts))
    head = f"All {len(verdicts)} promises held" if not broken else f"{len(broken)} of {len(verdicts)} promises broken"
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
            f'<title>Rhizome under faults, seed {options.seed}: {head}</title><style>{STYLE}</style>'
            f'<h1 class="{"no" if broken else "ok"}">{head}</h1><p>{options.seconds:g} s of load at {options.rate:g} jobs/s under '
            f'{len(facts["timeline"])} faults, {took:.0f} s in all.</p><p class="sub">{SETTING.format(store=STORE[options.replicated])} '
            f'Again: <code>{again(options)}</code></p>'
            f'<div class="cards">{cards}</div><h2>What happened when</h2>{chart(facts)}<h2>Promises</h2>'
            f'<table>{promise_rows(verdicts)}</table><h2>Faults</h2><p class="sub">{kinds_of_faults(facts)}</p>{fault_table(facts)}</html>')


def write(folder, options, facts, verdicts, logs, took):
    where = os.path.join(folder, f"seed-{options.seed}")
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(where, "report.html"), "w") as file:
        file.write(page(options, facts, verdicts, took))
    with open(os.path.join(where, "facts.json"), "w") as file:
        json.dump(facts, file, default=sorted)
    for name, text in logs.items():
        with open(os.path.join(where, name), "w") as file:
            file.write(text)
    return os.path.join(where, "report.html")
