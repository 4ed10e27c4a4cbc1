import Contract
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import PaymentCore
import PaymentEngine

/// The outermost layer: every request gets an id, every error becomes a problem, every answer a line in the log.
struct Frontier: RouterMiddleware {
  let randomness: any Randomness
  let table: RouteTable

  func handle(
    _ request: Request, context: WebContext, next: (Request, WebContext) async throws -> Response
  ) async throws -> Response {
    let start = ContinuousClock.now
    let id = Self.acceptable(request.headers[.requestID]) ?? String(randomness.next(), radix: 36)
    var context = context
    context.logger[metadataKey: "hb.request.id"] = "\(id)"
    var response: Response
    do { response = try await next(request, context) } catch let error as HTTPError where error.status == .notFound {
      let methods = table.methods(of: request.uri.path)
      response = .problem(methods.isEmpty ? Self.problem(of: error, context.logger) : .methodNotAllowed)
      if !methods.isEmpty { response.headers[.allow] = methods.joined(separator: ", ") }
    } catch  where Self.isGone(error) {
      throw error
    } catch {
      response = .problem(Self.problem(of: error, context.logger))
    }
    // A body would be taken for the next answer.
    if request.method == .head { response = response.createHeadResponse() }
    if response.status == .requestTimeout || response.status == .contentTooLarge { Self.cutOff(context.channel) }
    response.headers[.requestID] = id
    var metadata = Self.subject(context, response)
    metadata["status"] = "\(response.status.code)"
    metadata["ms"] = "\((ContinuousClock.now - start).wholeMilliseconds)"
    context.logger.info("\(request.method.rawValue) \(context.endpointPath ?? "?")", metadata: metadata)
    return response
  }

  /// The connection is gone, or carries something that is not HTTP: there is nobody to answer.
  private static func isGone(_ error: any Error) -> Bool {
    error is HTTPParserError || error is ChannelError || error is IOError || error is CancellationError
  }

  /// Ends a connection whose request is refused before all of it came: soon, so that the answer can still be read.
  private static func cutOff(_ channel: any Channel) {
    channel.eventLoop.scheduleTask(in: .seconds(5)) { channel.close(promise: nil) }
  }

  /// The ids of what a request was about: of the path, and of what it made. Never a checkout token.
  private static func subject(_ context: WebContext, _ response: Response) -> Logger.Metadata {
    var metadata: Logger.Metadata = [:]
    let made = response.headers[.location]?.split(separator: "/").last.map(String.init)
    for id in [context.parameters.get("id"), made].compactMap({ $0 }) {
      if let payment = PaymentID(text: id) {
        metadata["payment"] = "\(id)"
        metadata["order"] = "\(payment.order.text)"
      } else if let refund = RefundID(text: id) {
        metadata["refund"] = "\(id)"
        metadata["order"] = "\(refund.order.text)"
      } else if OrderID(text: id) != nil {
        metadata["order"] = "\(id)"
      }
    }
    if let token = context.parameters.get("token").flatMap({ CheckoutToken(text: $0) }) {
      metadata["order"] = "\(token.order.text)"
    }
    return metadata
  }

  /// The caller's own request id, if it is one that can stand in a log.
  private static func acceptable(_ id: String?) -> String? {
    guard let id, (1...64).contains(id.utf8.count),
      id.utf8.allSatisfy({ byte in
        let scalar = UnicodeScalar(byte)
        return scalar.isASCII && (scalar.properties.isAlphabetic || "0123456789-_.".unicodeScalars.contains(scalar))
      })
    else { return nil }
    return id
  }

  static func problem(of error: any Error, _ logger: Logger) -> Problem {
    switch error {
    case let error as ProblemError: return error.problem
    case let refusal as Refusal: return Problem(refusal)
    case let fault as Fault:
      logger.warning("a request met a fault", metadata: ["fault": "\(fault)"])
      return switch fault {
      case .overloaded: .overloaded
      case .clockWrong: .clockWrong
      case .conflict, .unavailable, .unknownCommit: .unavailable
      }
    case let error as HTTPError where error.status == .notFound:
      return Problem(Refusal(.notFound, "There is no such resource."))
    case let error as HTTPError where error.status == .contentTooLarge: return .tooLarge(limit: Request.bodyLimit)
    case let error as HTTPError where error.status == .badRequest: return .malformed
    default:
      logger.error("a request failed", metadata: ["error": "\(type(of: error))"])
      return .internalError
    }
  }
}
