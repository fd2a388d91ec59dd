#!/bin/sh
# Takes out of a virtual environment what no service opens: tests, C sources, debug symbols, and the bytecode of modules
# that are not imported by the packages named. What is large and pure Python goes, compiled, into one archive, from which
# Python imports it.
#   trim.sh VENV PACKAGE...
set -eu
venv=$1
shift
find "$venv" -type d \( -name tests -o -name test -o -name SelfTest \) -prune -exec rm -rf {} +
find "$venv" -type f \( -name '*.c' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h' -o -name '*.a' -o -name '*.pyi' \) -delete
find "$venv" -type d -name __pycache__ -prune -exec rm -rf {} +
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
(
  cd "$packages"
  rm -rf sqlalchemy/testing alembic/testing numpy/distutils numpy/f2py
  set --
  for package in sympy mpmath pygments rich pyasn1_modules pyasn1 antlr4; do if [ -d $package ]; then set -- "$@" $package; fi; done
  if [ $# -gt 0 ]; then
    "$venv/bin/python" -m compileall -q -b "$@"
    find "$@" -name '*.py' -delete
    "$venv/bin/python" -m zipfile -c pure.zip "$@"
    rm -rf "$@"
    echo "$packages/pure.zip" >pure.pth
  fi
)
# Without strip the image is larger and works as well. Libraries in *.libs were patched, and strip breaks them.
if command -v strip >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends binutils; } >/dev/null 2>&1
then
  find "$venv" -type f -name '*.so' ! -path '*.libs/*' -exec strip --strip-unneeded {} + 2>/dev/null || true
fi
for package in "$@"; do echo "import $package"; done | "$venv/bin/python"
