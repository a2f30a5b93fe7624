#!/bin/sh
# How full the file systems are: a shell script as an app. Lines that begin with "::dcm " report.
set -eu
total=$(df -P | tail -n +2 | wc -l)
echo "::dcm {\"task_size\": $total, \"solved\": 0}"
df -P | tail -n +2 | {
    solved=0
    while read -r _ _ _ free percent mount; do
        echo "$mount: $percent used, $free KiB free"
        solved=$((solved + 1))
        echo "::dcm {\"solved\": $solved}"
        sleep 0.3
    done
}
