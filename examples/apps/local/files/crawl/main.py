"""Crawls the directories of Python's own library and counts lines of code."""
import json
import pathlib
import sysconfig
import time

root = pathlib.Path(sysconfig.get_paths()["stdlib"])
folders = [folder for folder in sorted(root.iterdir()) if folder.is_dir()]
lines = files = unreadable = 0
for number, folder in enumerate(folders, start=1):
    for path in folder.rglob("*.py"):
        try:
            lines += path.read_bytes().count(b"\n")
            files += 1
        except OSError as error:
            unreadable += 1
            print(error)
    print("::dcm " + json.dumps({"task_size": len(folders), "solved": number}), flush=True)
    time.sleep(0.05)
print(f"{lines} lines in {files} files below {root}; {unreadable} could not be read")
