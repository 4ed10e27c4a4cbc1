import Testing

@Suite struct None {}
