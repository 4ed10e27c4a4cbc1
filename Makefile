.PHONY: run test inner mutants format pictures

run: # PayOnce with its sandbox bank and demo shop
	@scripts/run.sh

test: # everything
	@scripts/test.sh

inner: # the rooms in which payments are decided, alone: seconds
	PAYONCE_INNER=1 swift test --scratch-path .build-inner

mutants: # deliberate faults in the outer rooms, each of which a test must find: minutes, not part of `make test`
	scripts/install.sh test
	python3 Tests/Mutants/outer.py

format: # as `make test` wants it
	swift format --in-place --parallel --recursive Package.swift Sources Tests

pictures: # of every page, in both languages, light and dark: /tmp/payonce-pictures; and those of the README
	scripts/install.sh test
	swift build --product payonce
	PAYONCE_README=docs/pictures .build/python/bin/pytest --quiet -n 2 Tests/BlackBox/pages/test_states.py
