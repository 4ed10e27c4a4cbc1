.PHONY: run test inner format

run: # PayOnce with its sandbox bank and demo shop
	@scripts/run.sh

test: # everything
	@scripts/test.sh

inner: # the rooms in which payments are decided, alone: seconds
	PAYONCE_INNER=1 swift test --scratch-path .build-inner

format: # as `make test` wants it
	swift format --in-place --parallel --recursive Package.swift Sources Tests
