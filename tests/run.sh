#!/usr/bin/env bash
# All tests: Rust, Python and Node. Needs a Rust toolchain, Python 3.10 or later and Node 20 or later; no key, and no network but the
# package registries. Ends non-zero when anything fails; the last line is `N passed, N failed`.
#
#   tests/run.sh [rust] [python] [node]        only these; all three without arguments
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
out=$root/target/test-run
mkdir -p "$out"

parts=("$@")
[ ${#parts[@]} -eq 0 ] && parts=(rust python node)
wants() { [[ " ${parts[*]} " == *" $1 "* ]]; }

# With the target named, cargo, maturin and napi share what they compile; the host's own name changes nothing else.
CARGO_BUILD_TARGET=${CARGO_BUILD_TARGET:-$(rustc -vV | sed -n 's/^host: //p')}
export CARGO_BUILD_TARGET CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
# The tests bring their own servers: a proxy and the keys of whoever runs this are none of their business.
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost
for name in $(env | sed -n 's/^\([A-Z_]*_API_KEY\)=.*/\1/p') SYNTRA_DATA_DIR OLLAMA_HOST LLAMA_CPP_BASE_URL; do unset "$name"; done

passed=0 failed=0
declare -a failures=()
fail() { failed=$((failed + ${2:-1})); failures+=("$1"); }
step() { printf '\n== %s\n' "$*"; }

# The scripted model server of all three languages; the tests of Rust build it anyway, and with other features than it has alone.
mock_server() {
  wants rust && [ -x "$CARGO_TARGET_DIR/$CARGO_BUILD_TARGET/debug/mock_server" ] && return 0
  step "the scripted model server"
  cargo build --locked --quiet -p syntra-tests --bin mock_server || { fail "the scripted model server does not build"; return 1; }
}

# Models in a folder run on ONNX Runtime, whose library is in a package of Python's.
onnx_runtime() {
  [ -n "${ORT_DYLIB_PATH:-}" ] && return
  make_venv || return
  "$out/venv/bin/python" -m pip install --quiet --disable-pip-version-check onnxruntime || return
  ORT_DYLIB_PATH=$("$out/venv/bin/python" - <<'EOF'
import glob, importlib.util, os
print(glob.glob(os.path.join(os.path.dirname(importlib.util.find_spec("onnxruntime").origin), "capi", "libonnxruntime.*"))[0])
EOF
  ) && export ORT_DYLIB_PATH
}

run_rust() {
  step "Rust"
  local log=$out/rust.log
  # Exactly what cargo says, added up over all test binaries; `cargo nextest` would leave the doctests out.
  cargo test --locked --workspace --no-fail-fast 2>&1 | tee "$log" | grep -E '^(test result|running|     Running|   Doc-tests|test .*FAILED|error|warning: unused)|panicked at|^failures:' | grep -vE '^running 0|0 passed; 0 failed; 0 ignored'
  local status=${PIPESTATUS[0]} p f
  p=$(sed -n 's/^test result:.* \([0-9]*\) passed; .*/\1/p' "$log" | awk '{s+=$1} END {print s+0}')
  f=$(sed -n 's/^test result:.* \([0-9]*\) failed; .*/\1/p' "$log" | awk '{s+=$1} END {print s+0}')
  passed=$((passed + p))
  if [ "$f" -gt 0 ]; then
    fail "Rust: $f tests failed, see $log" "$f"
    grep -A30 '^failures:' "$log" | head -100
  elif [ "$status" -ne 0 ]; then
    fail "Rust: cargo test ended with $status, see $log"
    tail -40 "$log"
  fi
}

# A Python that can make a virtual environment with pip in it.
make_venv() {
  local interpreter venv=$out/venv
  interpreter=$(command -v python3 || command -v python) || { echo "no Python found: install Python 3.10 or later"; return 1; }
  "$interpreter" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or later is needed, this is $("$interpreter" -V)"; return 1; }
  [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return 0
  rm -rf "$venv"
  if ! "$interpreter" -m venv "$venv" >"$out/venv.log" 2>&1; then
    # Debian keeps ensurepip in a package of its own.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
    else
      cat "$out/venv.log"
      echo "Python cannot make a virtual environment: install python3-venv (apt-get install python3-venv)"
      return 1
    fi
    rm -rf "$venv"
    "$interpreter" -m venv "$venv"
  fi
}

run_python() {
  step "Python"
  make_venv || { fail "Python: no virtual environment"; return; }
  local venv=$out/venv log=$out/python.log p f
  # What checks the package, and the packages whose interfaces it has.
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'maturin>=1.16,<2' 'pytest>=8' 'mypy>=1.11' 'pyright>=1.1.390' 'ruff>=0.8' \
    'openai>=1.60' 'langchain-core>=0.3' 'llama-index-core>=0.12' || { fail "Python: pip install"; return; }
  rm -rf "$out/wheels"
  (cd syntra-py && "$venv/bin/maturin" build --quiet --profile dev --locked --features fastembed --strip false --interpreter "$venv/bin/python" --out "$out/wheels") ||
    { fail "Python: the wheel does not build"; return; }
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$out"/wheels/*.whl || { fail "Python: the wheel does not install"; return; }
  (cd syntra-py && "$venv/bin/python" -m pytest -p no:cacheprovider) 2>&1 | tee "$log"
  local status=${PIPESTATUS[0]}
  p=$(tail -3 "$log" | sed -n 's/.*[^0-9]*\b\([0-9][0-9]*\) passed.*/\1/p' | tail -1)
  f=$(tail -3 "$log" | sed -n 's/.*\b\([0-9][0-9]*\) \(failed\|error\).*/\1/p' | tail -1)
  passed=$((passed + ${p:-0}))
  if [ "$status" -ne 0 ]; then fail "Python: pytest ended with $status, see $log" "${f:-1}"; fi
}

run_node() {
  step "Node"
  command -v node >/dev/null && command -v npm >/dev/null || { fail "Node: no node and npm found: install Node 20 or later"; return; }
  local log=$out/node.log p f
  cd syntra-node || return
  # Not `npm ci`: it wants the lock to name the other platforms' binaries of the build tool too, which a lock made on one platform does not.
  # This takes the versions of the lock as well, and with --no-save leaves it as it is.
  # Without scripts: `prepare` would build a release of what is built for tests below; .ci/packages tries it.
  npm install --ignore-scripts --no-save --no-audit --no-fund --loglevel=error || { fail "Node: npm install"; cd "$root" || exit; return; }
  npx --no-install napi build --platform --no-js --dts ../target/syntra-native.d.ts --output-dir . --features fastembed >"$out/napi.log" 2>&1 ||
    { tail -30 "$out/napi.log"; fail "Node: the binary does not build"; cd "$root" || exit; return; }
  npm run --silent build:ts && npm run --silent typecheck && npm run --silent lint || { fail "Node: the types or the lints do not check"; cd "$root" || exit; return; }
  node --test --test-reporter=tap __test__/*.test.js >"$log" 2>&1
  local status=$?
  cd "$root" || exit
  grep -E '^not ok|^# (tests|pass|fail)' "$log"
  p=$(sed -n 's/^# pass \([0-9]*\)/\1/p' "$log" | tail -1)
  f=$(sed -n 's/^# fail \([0-9]*\)/\1/p' "$log" | tail -1)
  passed=$((passed + ${p:-0}))
  if [ "$status" -ne 0 ]; then
    fail "Node: node --test ended with $status, see $log" "$([ "${f:-0}" -gt 0 ] && echo "$f" || echo 1)"
    grep -A25 '^not ok' "$log" | head -120
  fi
}

onnx_runtime || fail "ONNX Runtime is not there: pip install onnxruntime"
wants rust && run_rust
if wants python || wants node; then
  if mock_server; then
    wants python && run_python
    wants node && run_node
  fi
fi

echo
for line in ${failures[@]+"${failures[@]}"}; do echo "FAILED $line"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
