.PHONY: run test inner format pictures

run: # PayOnce with its sandbox bank and demo shop
	@scripts/run.sh

test: # everything
	@scripts/test.sh

inner: # the rooms in which payments are decided, alone: seconds
	PAYONCE_INNER=1 swift test --scratch-path .build-inner

format: # as `make test` wants it
	swift format --in-place --parallel --recursive Package.swift Sources Tests

pictures: # of every page, in both languages, light and dark: .build/pictures
	scripts/install.sh test
	swift build --product payonce
	PAYONCE_PICTURES=$(CURDIR)/.build/pictures .build/python/bin/pytest --quiet Tests/BlackBox/test_page.py -k picture
	cp .build/pictures/checkout.png docs/pictures/checkout.png
