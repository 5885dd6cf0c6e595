# A Rails application around the guide's controller of tokens: `ruby rails_forum.rb CONTROLLER POST…`. The
# header X-Session is the session, and each user may see the posts. Serves on a free port of 127.0.0.1, prints
# its URL, and ends when its input does.

require "action_controller/railtie"
require "rack/handler/webrick"

controller, *POSTS = ARGV

class Forum < Rails::Application
  config.load_defaults Rails::VERSION::STRING.to_f
  config.eager_load = false
  config.hosts.clear
  config.logger = Logger.new($stderr)
  config.secret_key_base = "of a test"
end

User = Struct.new(:id) do
  def may_see?(post) = POSTS.include?(post)
end

class ApplicationController < ActionController::Base
  def current_user = request.headers["X-Session"]&.then { |id| User.new(Integer(id)) }
end

Forum.initialize!
require controller
Forum.routes.draw { post "/forum/onetap-token", to: "onetap_tokens#create" }

server = WEBrick::HTTPServer.new(BindAddress: "127.0.0.1", Port: 0, AccessLog: [], Logger: WEBrick::Log.new($stderr))
server.mount "/", Rack::Handler::WEBrick, Forum
Thread.new { server.start }
puts "http://127.0.0.1:#{server.listeners.first.addr[1]}"
$stdout.flush
$stdin.read
