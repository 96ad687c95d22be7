#!/usr/bin/env bash
# Compiles MODEL and writes rnnc-comment.md, the same to the job's summary; ends as rnnc does.
#
# MODEL, CALIB (may be empty), ARGUMENTS (words), COMPARE (may be empty); GITHUB_OUTPUT and GITHUB_STEP_SUMMARY where set.
set -uo pipefail

words=("$MODEL" -o rnnc-package)
[[ -z ${CALIB:-} ]] || words+=(--calib "$CALIB")
[[ -z ${COMPARE:-} ]] || words+=(--compare "$COMPARE")
read -ra further <<<"${ARGUMENTS:-}"
printed=$(rnnc compile "${words[@]}" "${further[@]}" 2>rnnc-notes.txt)
code=$?
{
    printf '### rnnc: %s\n\n' "$(basename "$MODEL")"
    printf '```text\n'
    printf '%s\n' "${printed%%what to do next*}" | sed '/^$/N;/^\n$/D'
    cat rnnc-notes.txt
    printf '```\n'
    ((code == 0)) || printf '\nrnnc ended with exit code %d.\n' "$code"
} >rnnc-comment.md
[[ -z ${GITHUB_STEP_SUMMARY:-} ]] || cat rnnc-comment.md >>"$GITHUB_STEP_SUMMARY"
[[ -z ${GITHUB_OUTPUT:-} ]] || echo "report=rnnc-package/report.json" >>"$GITHUB_OUTPUT"
exit "$code"
